"""Is scale unconstrained? The objective as all carried values are scaled together.

The loop is cut: every h[k], k >= 1, is put in the place of what the program computes for it, times
a = 1, 1e2 and 1e4, in float64. Flat means that nothing in the loss restrains length, exactly or in
the limit; rising that something does. Small factors mislead: a raw readout at a small initialisation
first falls, an untied coda still answers at 8.

What no gradient passes (detached, computed under no_grad) restrains nothing, though the objective rises
with it. So where it rises, it is evaluated once more with all of that left as it was. Where it falls
without end, length is rewarded, and nothing restrains it either. Where it rises still, a part of the
state may make it rise and another not: the second is then scaled alone, and judged by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.norms import feature_axis
from scaleaudit.probe.parts import Part, Pull, candidates, reads_across
from scaleaudit.probe.program import Crossing, Program, constantly

FACTORS = (1.0, 1e2, 1e4)
# The largest relative change from a = 1e2 to 1e4 that counts as none. Blind conditions of the
# reference family change by under 1e-3, controlled ones by 0.5 and more.
FLAT = 0.02
# What rises by less, above rounding, is asked once more, as far again: a logarithm with a small weight
# rises by as much there, what a readout sees fade by a hundredth of that.
_BEYOND, _ROUNDING, _AGAIN = 1e6, 1e-6, 0.5
# From how much of the strongest pull on it is a direction counted as seen.
_PULLS = 1e-3


@dataclass(frozen=True, slots=True)
class Response:
    """The objective at each factor.

    Attributes:
        learnt: The same as training sees it: what no gradient passes is as it was at 1. None where
            that is no other.
        part: What was scaled, where the objective sees the length of some of the state and not of this.
        directions: The share of the state's directions that it pulls along where it sees the length.
        beyond: The objective, as training sees it, at 1e6; asked where it hardly rises up to there.
    """

    values: tuple[float, ...]
    learnt: tuple[float, ...] | None = None
    part: Part | None = None
    beyond: float | None = None
    directions: float | None = None

    @property
    def change(self) -> float:
        """The relative change from a = 1e2 to 1e4, as training sees it; below 0 where length is rewarded."""
        return _change(self.learnt or self.values)

    @property
    def is_known(self) -> bool:
        """Whether the objective is a number where the state is as long as it is."""
        return all(map(math.isfinite, self.values[:-1])) and not math.isnan(self.values[-1])

    @property
    def is_flat(self) -> bool:
        """Whether nothing in the objective restrains the length."""
        return self.change < FLAT and not self._keeps_rising

    @property
    def _keeps_rising(self) -> bool:
        """Whether the objective rises slowly and without end, as the logarithm of the length does."""
        _, before, after = self.learnt or self.values
        if self.beyond is None or after - before <= _ROUNDING * abs(after):
            return False
        return self.beyond - after >= _AGAIN * (after - before)

    @property
    def is_rewarded(self) -> bool:
        """Whether the objective falls without end as the state becomes longer."""
        return self.change <= -FLAT


def _change(values: tuple[float, ...]) -> float:
    first, before, after = values
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    change = (after - before) / max(abs(before), abs(after), 1e-30)
    # A loss that nears its least value falls by next to nothing of what it was.
    return change if before - after > FLAT * abs(first) else abs(change)


def respond(
    program: Program,
    feed: Mapping[str, Tensor],
    loop: int,
    state: int,
    group: Group = ALONE,
    other: Mapping[str, Tensor] | None = None,
) -> Response:
    """Scale one state at all of its boundaries and evaluate the objective.

    A state that reaches the loss through others of its loop alone is scaled together with them.

    Args:
        program: Made ``wide``, so that it runs in float64.
        feed: Parameters, buffers and inputs by name; what is floating is taken in float64.
        loop: Position of the loop.
        state: Position of the state in the loop.
        group: The processes that each have a part of the batch.
        other: The same with another batch, to hold parts of the state against.
    """
    every = range(len(program.nest.loops[loop].states))
    states = (state,) if program.reads(loop, state) else every
    mine = frozenset().union(*(program.crossings_of(loop, each) for each in states))
    held = _Held(program, feed, mine, group)
    found = held.answer(program)
    if abs(found.change) < FLAT and found.is_flat:
        return found
    if held.stopped is not program:
        learnt = held.answer(held.stopped)
        found = replace(found, learnt=learnt.values, beyond=learnt.beyond)
    if found.is_flat or not found.is_known:
        return found
    if len(states) > 1:
        return (
            _alone(_Held(program, feed, program.crossings_of(loop, state), group, free=True))
            or found
        )
    again = held if other is None else _Held(program, other, mine, group)
    longer = held.pulls(FACTORS[-1])
    for part in candidates(held.pulls(FACTORS[-2]), longer, group):
        response = again.answer(again.stopped, part)
        if response.is_known and response.is_flat:
            return response
    return replace(found, directions=_directions(longer, group))


def _alone(held: _Held) -> Response | None:
    """Return how the objective answers to a state that others read, where none reads its length.

    One that they see saturate, as through a gate, is not meant: they read it up to some length.
    """
    found = held.answer(held.stopped)
    if not (found.is_known and found.is_flat):
        return None
    return found if reads_across(held.pulls(FACTORS[-2]), held.pulls(FACTORS[-1])) else None


class _Held:
    """A program on a batch, with what crosses held as it is but for one state, which is scaled.

    Attributes:
        stopped: The same program with all that no gradient passes left as it was.
    """

    def __init__(
        self,
        program: Program,
        feed: Mapping[str, Tensor],
        mine: frozenset[Crossing],
        group: Group,
        *,
        free: bool = False,
    ) -> None:
        """Run the program once.

        Args:
            free: Whether other states answer to the scaled one.
        """
        self._mine, self._group, self._free = mine, group, free
        self._feed = {
            name: value.detach().double() if value.is_floating_point() else value
            for name, value in feed.items()
        }
        stops = _stops(program)
        with torch.no_grad():
            _, before = program.run(self._feed, keep=[*program.crossings, *stops])
        self._crossed = {crossing: before[node] for node, crossing in program.crossings.items()}
        held = {node: constantly(before[node]) for node in stops}
        self.stopped = program.with_calls(held) if held else program

    def answer(self, program: Program, part: Part | None = None) -> Response:
        """Return how the objective answers to the state being scaled, or a part of it."""
        found = Response(tuple(self._value(program, factor, part) for factor in FACTORS), part=part)
        if not 0 < found.change < FLAT:
            return found
        return replace(found, beyond=self._value(program, _BEYOND, part))

    def pulls(self, factor: float) -> list[Pull]:
        """Return the gradients at all boundaries of the state, as it is so many times as long."""
        leaves: dict[Crossing, Tensor] = {}

        def edit(crossing: Crossing, made: Tensor) -> Tensor:
            value = self._scaled(crossing, made, factor)
            if crossing not in self._mine or not value.is_floating_point():
                return value
            leaves[crossing] = value.requires_grad_()
            return value.clone()  # which the program may write to

        with torch.enable_grad():
            loss, _ = self.stopped.run(self._feed, edit)
        if not leaves or not loss.requires_grad:
            return []
        found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
        return [Pull(v.detach(), g) for v, g in zip(leaves.values(), found, strict=True)]

    def _value(self, program: Program, factor: float, part: Part | None) -> float:
        def edit(crossing: Crossing, made: Tensor) -> Tensor:
            return self._scaled(crossing, made, factor, part)

        with torch.no_grad():
            return self._group.mean(float(program.run(self._feed, edit)[0]))

    def _scaled(
        self, crossing: Crossing, made: Tensor, factor: float, part: Part | None = None
    ) -> Tensor:
        if self._free and crossing not in self._mine:
            return made
        value: Tensor = self._crossed[crossing].detach()
        if crossing not in self._mine or not value.is_floating_point():
            return value
        return value * factor if part is None else part.scaled(value, factor)


def _directions(pulls: Sequence[Pull], group: Group) -> float | None:
    """Return the share of directions that gradients pull along; None where there are too few to tell.

    At 1e4 times the length what is read behind a norm pulls by 1e-4 as much as what is read raw.
    """
    if not pulls or any(not pull.value.dim() for pull in pulls):
        return None
    rows = torch.cat(
        [
            pull.gradient.movedim(feature_axis(pull.value), -1).flatten(0, -2)
            for pull in pulls
            if pull.gradient.shape == pulls[-1].gradient.shape
        ]
    )
    squares = rows.T @ rows
    group.average([squares])
    if len(rows) < rows.shape[1] or not bool(torch.isfinite(squares).all()):
        return None
    sizes = torch.linalg.eigvalsh(squares).clamp(min=0).sqrt()
    return float((sizes >= _PULLS * sizes.max()).double().mean())


def _stops(program: Program) -> list[fx.Node]:
    """The calls that no gradient passes and that read, in the end, what crosses."""
    reached: set[fx.Node] = set(program.crossings)
    found = []
    for step in program.steps:
        if step.node in reached or reached.isdisjoint(step.node.all_input_nodes):
            continue
        reached.add(step.node)
        if not step.grad or step.target is torch.ops.aten.detach.default:
            found.append(step.node)
    return found
