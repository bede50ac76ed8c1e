"""Parts of a state: the positions or channels whose length the objective does not see.

A penalty on the last token, or a raw classifier on the first one, makes the objective rise as all of a
state is scaled, though nothing restrains the rest. So the gradient at every boundary is asked of parts:

- A *position* is read, and not its length, where its gradient stands across its state however long that
  is. One that has no gradient is not read at all, as padding or what a saturated loss has settled, and
  says nothing.
- Of a *channel* a readout that norms away the length leaves as much whatever the length is, and one
  that sees it more and more.

These are candidates only: whether the objective is flat as they alone are scaled is then seen on
another batch, which is shifted besides, as it may be the data that say what is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.norms import feature_axis, lengths

# The share of a position's gradient along its state, at 1e4 times the length, up to which it is none:
# norms leave 1e-7 and less, branches behind a norm 1e-4, raw readouts of 512 features 0.04.
_ACROSS = 1e-3
# By what a gradient times its state may differ between 1e2 and 1e4 times the length, where the length
# is not seen: it is the same behind a norm, and 100 times as much in the weakest raw readout.
_ALIKE = 10.0
# The least share of a state that is judged by itself.
LEAST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Part:
    """Some positions of a state, or some channels of all positions.

    Attributes:
        mask: True for what belongs to it: in the shape of the state without its features, or of the
            features alone.
        of_channels: Whether it is of channels.
    """

    mask: Tensor
    of_channels: bool = False

    @property
    def share(self) -> float:
        """How much of all positions or channels it is."""
        return float(self.mask.double().mean())

    def scaled(self, value: Tensor, factor: float) -> Tensor:
        """Return a state with this part of it multiplied."""
        inside = self.mask.to(value.device)
        if self.of_channels:
            behind = value.dim() - 1 - feature_axis(value) % value.dim()
            inside = inside.reshape(-1, *(1,) * behind)
        else:
            inside = inside.unsqueeze(feature_axis(value))
        return torch.where(inside, value * factor, value)

    def lengths(self, value: Tensor) -> Tensor:
        """Return the lengths of the tokens, of these positions or over these channels."""
        mask = self.mask.to(value.device)
        if not self.of_channels:
            return lengths(value)[mask.flatten()]
        return lengths(value.index_select(feature_axis(value), mask.nonzero().flatten()))

    def __str__(self) -> str:
        """Say how much of the state it is."""
        what = "channels" if self.of_channels else "positions"
        return f"{int(self.mask.sum())} of {self.mask.numel()} {what}"


# By the positions of loop and state what of it is measured, where that is not all.
Parts = Mapping[tuple[int, int], Part]
WHOLE: Parts = {}


def part_lengths(value: Tensor, part: Part | None) -> Tensor:
    """Return the lengths of a state's tokens: of all, or of a part of it."""
    return lengths(value) if part is None else part.lengths(value)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured of the states of a loop.

    Attributes:
        loop: Its position.
    """

    loop: int
    parts: Parts = field(default_factory=dict)
    group: Group = ALONE

    def mean(self, place: int, state: Tensor) -> Tensor:
        """Return the mean length of the tokens of a state that this process has."""
        return part_lengths(state, self.parts.get((self.loop, place))).mean()

    def tokens(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Return the lengths of all tokens of each state, (tokens,); NaN of what is no real number."""
        return [
            self.group.joined(part_lengths(state, self.parts.get((self.loop, place))))
            if state.is_floating_point()
            else torch.tensor([math.nan])
            for place, state in enumerate(states)
        ]


@dataclass(frozen=True, slots=True)
class Pull:
    """A gradient and the value that it is of, at one boundary."""

    value: Tensor
    gradient: Tensor


def candidates(long: Sequence[Pull], longer: Sequence[Pull], group: Group = ALONE) -> list[Part]:
    """Return parts whose length the objective may not see, of a state that it sees as a whole.

    Args:
        long: What pulls at the state at all of its boundaries, at 1e2 times its length.
        longer: The same at 1e4 times.
        group: The processes that each have a part of the batch; a position is one of all.
    """
    shapes = {pull.value.shape for pull in (*long, *longer)}
    if len(shapes) != 1 or not shapes.pop():
        return []
    positions = _across(long, longer)
    channels = _alike(_of_channels(long), _of_channels(longer))
    found = [
        *(Part(_everywhere(mask, group)) for mask in _likely(positions)),
        Part(_everywhere(channels, group), of_channels=True),
    ]
    return [part for part in found if LEAST_SHARE <= part.share < 1]


def reads_across(long: Sequence[Pull], longer: Sequence[Pull]) -> bool:
    """Tell whether an objective reads much of a state, and of none of that the length."""
    if len({pull.value.shape for pull in (*long, *longer)}) != 1 or not long[0].value.dim():
        return False
    return float(_across(long, longer).double().mean()) >= LEAST_SHARE


def _across(long: Sequence[Pull], longer: Sequence[Pull]) -> Tensor:
    """Tell at which positions the gradient stands across the state, however long that is."""
    _, before = _of_positions(long)
    along, across = _of_positions(longer)
    return (along <= _ACROSS * across) & _alike(before, across)


def _likely(positions: Tensor) -> list[Tensor]:
    """Return what positions may be meant, the fewest first.

    A raw readout that happens to be right has no gradient, so that some that it reads are missed. Where it
    reads the same places in all examples, one that it reads in any of them is read in all.
    """
    axes = range(positions.dim()) if positions.dim() > 1 else ()
    alike = [positions.all(axis, keepdim=True).expand_as(positions) for axis in axes]
    return [*alike, positions]


def shifted(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a batch with every example in another place, and its content one position later.

    What a program reads by its place stays there; what the data say is to be read moves along.
    """
    return {
        name: value.roll((1, 1), (0, 1)) if value.dim() > 1 else value
        for name, value in batch.items()
    }


def _of_positions(pulls: Sequence[Pull]) -> tuple[Tensor, Tensor]:
    """Return for every position how much pulls along its state, and in any direction."""
    axis = feature_axis(pulls[0].value)
    along = [(pull.gradient * pull.value).sum(axis).abs() for pull in pulls]
    sizes = [
        torch.linalg.vector_norm(pull.gradient, dim=axis)
        * torch.linalg.vector_norm(pull.value, dim=axis)
        for pull in pulls
    ]
    return torch.stack(along).sum(0), torch.stack(sizes).sum(0)


def _of_channels(pulls: Sequence[Pull]) -> Tensor:
    """Return for every channel how much pulls at it, over all positions."""
    axis = feature_axis(pulls[0].value)
    found = [
        (pull.gradient * pull.value).abs().movedim(axis, 0).flatten(1).sum(1) for pull in pulls
    ]
    return torch.stack(found).sum(0)


def _alike(before: Tensor, after: Tensor) -> Tensor:
    """Tell where a pull is there, and much the same at both lengths."""
    return (after > 0) & (after <= _ALIKE * before) & (before <= _ALIKE * after)


def _everywhere(mask: Tensor, group: Group) -> Tensor:
    """Return what holds in every process."""
    shares = mask.double()
    group.average([shares])
    return shares > 1 - 1 / (2 * group.size)
