"""Whether a custom autograd function's backward is the gradient of its forward, by numbers.

The function runs apart from the recording, on small random numbers: what its backward says of a
direction is held against the difference that the forward shows along it. That holds for forwards
that autograd cannot follow too, such as kernels and numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch

from scaleaudit.capture._torch_private import (
    FakeTensor,
    TorchDispatchMode,
    pytree,
    unwatched,
    without_modes,
)

# A function as it is called, of its flat arguments.
Call = Callable[[list[Any]], Any]

# Elements of all arguments up to which a function is run.
LIMIT = 1 << 24
# Steps along a direction, each with how far the two figures may lie apart: the second is for
# forwards that compute in single precision whatever they are given.
_STEPS = ((1e-6, 1e-4), (1e-2, 2e-2))
# What is taken for random elements: the last for forwards that want positive ones.
_DRAWS: tuple[Callable[[torch.Size], torch.Tensor], ...] = (
    lambda shape: torch.randn(shape, dtype=torch.float64),
    lambda shape: torch.randn(shape, dtype=torch.float64),
    lambda shape: torch.rand(shape, dtype=torch.float64) * 0.8 + 0.1,
)
# A factor on gradients that falls below this share of itself while the input grows a
# ten-thousandfold lets the gradient die.
_FADING, _LARGE = 0.1, 1e4
# A gradient below this share of what comes in is rounding.
_ROUNDING = 1e-9


class Kind(Enum):
    """What a backward passes on to one argument.

    FORWARD: the gradient of the forward, but for positive factors. STOPPED: nothing, though the
    result depends on it. STRAIGHT: what comes in, as if the forward were the identity. ADDED:
    something, though the result does not depend on it. ACROSS: nothing of a gradient that asks the
    result to be longer or shorter. OWN: anything else.
    """

    FORWARD = "forward"
    STOPPED = "stopped"
    STRAIGHT = "straight"
    ADDED = "added"
    ACROSS = "across"
    OWN = "own"


def kinds_of(call: Call, leaves: list[Any]) -> dict[int, Kind] | None:
    """Judge what a function passes back to each of its floating arguments, by position.

    Returns:
        None where the function cannot be run on numbers.
    """
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if sum(tensor.numel() for tensor in tensors) > LIMIT:
        return None
    places = [i for i, leaf in enumerate(leaves) if is_floating(leaf)]
    with _apart():
        try:
            samples = [_Sample(call, leaves, draw) for draw in _DRAWS]
            samples = [sample for sample in samples if sample.finite]
            return {i: _kind(samples, i) for i in places} if samples else None
        except Exception:  # noqa: BLE001 - whatever a user's forward raises on numbers of ours
            return None


def depends(call: Call, leaves: list[Any], place: int) -> bool | None:
    """Tell whether a function's result changes with one argument; None where it cannot be run."""
    with _apart():
        try:
            return _Sample(call, leaves, _DRAWS[0]).moves_with(place)
        except Exception:  # noqa: BLE001 - as above
            return None


def is_floating(leaf: object) -> bool:
    """Tell whether an argument can have a gradient."""
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()


def _kind(samples: list[_Sample], place: int) -> Kind:
    silent = all(not sample.passes(place) for sample in samples)
    moves = any(sample.moves_with(place) for sample in samples)
    if silent:
        flat = all(sample.agrees(place) for sample in samples)
        return Kind.FORWARD if flat or not moves else Kind.STOPPED
    if not moves:
        return Kind.ADDED
    if all(sample.agrees(place) for sample in samples):
        return Kind.FORWARD
    return _scaled(samples, place)


def _scaled(samples: list[_Sample], place: int) -> Kind:
    """Judge a backward that passes on what comes in, times positive factors that do not die."""
    factors = [sample.factors(place) for sample in samples]
    factors.append(samples[0].enlarged(_LARGE).factors(place))
    known = [factor for factor in factors if factor is not None and float(factor.min()) > 0]
    fades = len(known) < len(factors) or known[-1].median() <= _FADING * known[0].median()
    if not fades and all(sample.is_identity(place) for sample in samples):
        return Kind.FORWARD
    if not fades and all(map(_is_uniform, known)):
        return Kind.STRAIGHT
    lengthened = [sample.lengthened() for sample in samples]
    return Kind.OWN if any(sample.is_heard(place) for sample in lengthened) else Kind.ACROSS


def _is_uniform(factors: torch.Tensor) -> bool:
    return bool((factors - factors.mean()).abs().max() <= 1e-6 * factors.mean())


class _Sample:
    """A function run on one draw of numbers, with what its backward says."""

    def __init__(
        self,
        call: Call,
        leaves: list[Any],
        draw: Callable[[torch.Size], torch.Tensor],
        factor: float = 1.0,
        *,
        along: bool = False,
    ) -> None:
        self._call, self._leaves, self._draw = call, leaves, draw
        self.values = [_number(leaf, draw, factor) for leaf in leaves]
        given = [
            value.clone().requires_grad_() if is_floating(value) else value for value in self.values
        ]
        with torch.enable_grad(), _same_draws():
            # A copy each, so that the function may write to what it is given.
            handed = [value * 1 if is_floating(value) else value for value in given]
            self.outputs = _floats(call(handed))
        self.incoming = [out.detach() if along else torch.randn_like(out) for out in self.outputs]
        self.gradients = dict.fromkeys(range(len(leaves)))
        self._differentiate(given)

    def _differentiate(self, given: list[Any]) -> None:
        learning = [
            (o, g) for o, g in zip(self.outputs, self.incoming, strict=True) if o.requires_grad
        ]
        places = [i for i, value in enumerate(given) if is_floating(value)]
        if not learning or not places:
            return
        outputs, incoming = zip(*learning, strict=True)
        found = torch.autograd.grad(
            outputs, [given[i] for i in places], incoming, allow_unused=True
        )
        self.gradients.update(zip(places, found, strict=True))

    @property
    def finite(self) -> bool:
        """Whether the forward makes sense of such numbers."""
        return bool(self.outputs) and all(bool(out.isfinite().all()) for out in self.outputs)

    def enlarged(self, factor: float) -> _Sample:
        """Return a sample of larger numbers."""
        return _Sample(self._call, self._leaves, self._draw, factor)

    def lengthened(self) -> _Sample:
        """Return a sample under a gradient that asks its results to be longer."""
        return _Sample(self._call, self._leaves, self._draw, along=True)

    def passes(self, place: int) -> bool:
        """Tell whether any gradient arrives at an argument."""
        gradient = self.gradients[place]
        return gradient is not None and bool(gradient.any())

    def is_heard(self, place: int) -> bool:
        """Tell whether more than rounding arrives at an argument."""
        gradient = self.gradients[place]
        size = sum(float(g.norm()) for g in self.incoming)
        return gradient is not None and float(gradient.norm()) > _ROUNDING * size

    def agrees(self, place: int) -> bool:
        """Tell whether the backward says what the forward does along a random direction."""
        gradient = self.gradients[place]
        direction = torch.randn_like(self.values[place])
        said = 0.0 if gradient is None else float((gradient * direction).sum())
        size = 0.0 if gradient is None else float(gradient.norm() * direction.norm())
        for step, tolerance in _STEPS:
            seen = self._difference(place, direction, step)
            room = tolerance * max(abs(said), abs(seen), 1e-2 * size, 1e-6)
            if abs(said - seen) <= room:
                return True
        return False

    def _difference(self, place: int, direction: torch.Tensor, step: float) -> float:
        ahead, behind = (
            self._outputs_at(place, self.values[place] + sign * step * direction)
            for sign in (1, -1)
        )
        total = 0.0
        for g, x, y in zip(self.incoming, ahead, behind, strict=True):
            total += float((g * (x - y)).sum())
        return total / (2 * step)

    def moves_with(self, place: int) -> bool:
        """Tell whether the result depends on an argument at all."""
        other = self._draw(self.values[place].shape).to(self.values[place].dtype)
        changed = self._outputs_at(place, other)
        return any(not torch.equal(x, y) for x, y in zip(changed, self.outputs, strict=True))

    def _outputs_at(self, place: int, value: torch.Tensor) -> list[torch.Tensor]:
        values = [v.clone() if isinstance(v, torch.Tensor) else v for v in self.values]
        values[place] = value.clone()
        with torch.no_grad(), _same_draws():
            return _floats(self._call(values))

    def is_identity(self, place: int) -> bool:
        """Tell whether the forward returns an argument as it is."""
        return torch.equal(self.outputs[0], self.values[place])

    def factors(self, place: int) -> torch.Tensor | None:
        """Return what gradients are multiplied by on the way, where that can be said."""
        gradient = self.gradients[place]
        if gradient is None or len(self.outputs) != 1:
            return None
        (incoming,) = self.incoming
        return gradient / incoming if gradient.shape == incoming.shape else None


def _floats(out: Any) -> list[torch.Tensor]:
    leaves = pytree.tree_leaves(out)
    return [leaf.to(torch.float64) for leaf in leaves if is_floating(leaf)]


def _number(leaf: Any, draw: Callable[[torch.Size], torch.Tensor], factor: float) -> Any:
    if is_floating(leaf):
        return draw(leaf.shape) * factor
    if isinstance(leaf, torch.Tensor):
        return torch.zeros(leaf.shape, dtype=leaf.dtype)
    return leaf


@contextmanager
def _same_draws() -> Iterator[None]:
    """Let what is drawn at random be the same at every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@contextmanager
def _apart() -> Iterator[None]:
    """Run on real numbers, seen by nobody; weights without memory get some for the time."""
    with unwatched(), without_modes(), _RealWeights(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class _RealWeights(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Put random numbers in the place of tensors without memory that a function holds."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator on numbers."""
        args, kwargs = pytree.tree_map_only(FakeTensor, self._real, (args, kwargs or {}))
        return func(*args, **kwargs)

    def _real(self, fake: torch.Tensor) -> torch.Tensor:
        if id(fake) not in self._made:
            made = torch.zeros(fake.shape, dtype=fake.dtype)
            if made.is_floating_point():
                made = torch.randn(fake.shape, dtype=torch.float64)
            self._made[id(fake)] = (fake, made)
        return self._made[id(fake)][1]
