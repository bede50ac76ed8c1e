"""What trained weights say of a loop directly: whether its turns keep length, and how long they make it.

Training shows growth only where it has time and room. Two measurements need neither:

- *Carry*: states that are made very long, and what a turn leaves of that. A loop that forgets length
  cannot pile it up, whatever training does; one that keeps it whole does as soon as it writes.
- *Reach*: the states when all trained weights are multiplied, but for what makes the initial states.
  Where they do not become longer then, what turns write is bounded by how they are built.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scaleaudit.domain.probing import Carry
from scaleaudit.probe.depth import Deeper
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.parts import WHOLE, Parts, part_lengths
from scaleaudit.probe.program import Crossing, Program, constantly
from scaleaudit.probe.thresholds import BOUNDED_REACH
from scaleaudit.probe.traces import FURTHER

# What states are multiplied by: float64 still has eight digits for what is written to them.
_LONG = 1e8
# A little longer: what turns write is beside them but a few percent a turn, so that a factor from
# ABOUT_WHOLE on says that they are kept.
_LONGER, _ABOUT_WHOLE = 10.0, 0.99
# Shares of that length up to which a state is no longer said to be long.
_GONE = 1e-4
# What weights are multiplied by; the first saturates what saturates.
_WEIGHTS = (1e2, 1e4)


def carries(
    program: Program,
    feed: Mapping[str, Tensor],
    trained: Collection[str],
    loop: int,
    group: Group = ALONE,
    parts: Parts = WHOLE,
) -> list[Carry]:
    """Measure all states of a loop.

    Args:
        program: Made ``wide``, so that it runs in float64.
        feed: Trained weights, buffers and inputs by name.
        trained: The names of the weights that training moves.
        group: The processes that each have a part of the batch.
        parts: What of a state is measured, where that is not all.
    """
    measured = _Measured(loop, parts, group)
    feed = {name: value.detach() for name, value in feed.items()}
    kept = _kept(program, feed, loop, measured)
    reached = _reached(program, feed, trained, loop, measured)
    return [Carry(*each) for each in zip(kept, reached, strict=True)]


def _kept(
    program: Program, feed: Mapping[str, Tensor], loop: int, measured: _Measured
) -> list[float | None]:
    """By what a turn multiplies long states, each by itself: the least, of longer and very long ones.

    Gates that read the state let anything through once it is long enough, so those are asked as well
    that are only a little longer than they would be.
    """
    deeper = Deeper(program, loop)
    count = len(program.nest.loops[loop].states)
    if not deeper.possible:
        return [None] * count
    last, turned = deeper.turn(feed)
    further = (max(FURTHER) - 1) * deeper.turns

    def path(factor: float) -> list[list[float]]:
        states = tuple(s * factor if s.is_floating_point() else s for s in last)
        found = [measured.means(states)]
        for _ in range(further):
            states = turned(states)
            found.append(measured.means(states))
        return [[at[place] for at in found] for place in range(count)]

    very_long = (_rate(each, deeper.turns) for each in path(_LONG))
    longer = (_overall(each) for each in path(_LONGER))
    return [
        kept if kept is None or little is None or little >= _ABOUT_WHOLE else min(kept, little)
        for kept, little in zip(very_long, longer, strict=True)
    ]


def _reached(
    program: Program,
    feed: Mapping[str, Tensor],
    trained: Collection[str],
    loop: int,
    measured: _Measured,
) -> list[float | None]:
    """By what the states grow in the end as weights do, from initial states as they are."""
    states = program.nest.loops[loop].states
    starts = {program.node(state.initial) for state in states if state.initial is not None}
    with torch.no_grad():
        _, env = program.run(feed, keep=starts)
    held = program.with_calls({node: constantly(env[node]) for node in starts if node in env})

    def lengths_at(factor: float, names: Iterable[str]) -> list[float]:
        found: dict[Crossing, Tensor] = {}

        def remember(crossing: Crossing, value: Tensor) -> Tensor:
            found[crossing] = value
            return value

        larger = {name: feed[name] * factor for name in names if feed[name].is_floating_point()}
        with torch.no_grad():
            held.run({**feed, **larger}, remember)
        last = (program.crossing(loop, j, len(each.boundary)) for j, each in enumerate(states))
        return measured.means([found[crossing] for crossing in last])

    def reached(names: Iterable[str]) -> list[float]:
        pairs = zip(*(lengths_at(factor, names) for factor in _WEIGHTS), strict=True)
        return [after / before if before > 0 else math.nan for before, after in pairs]

    largest = reached(trained)
    for name in trained:
        if not any(found <= BOUNDED_REACH for found in largest):
            break
        # All together may shut a gate before what is written; one by one they do not.
        largest = list(map(_larger, largest, reached([name])))
    return [found if math.isfinite(found) else None for found in largest]


def _larger(x: float, y: float) -> float:
    """The larger of two numbers; NaN where one is."""
    return math.nan if math.isnan(x) or math.isnan(y) else max(x, y)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is measured of the states of a loop."""

    loop: int
    parts: Parts
    group: Group

    def means(self, states: Sequence[Tensor]) -> list[float]:
        """Return the mean length of each state; NaN of what is no real number."""
        return [
            float(self.group.joined(part_lengths(state, self.parts.get((self.loop, j)))).mean())
            if state.is_floating_point()
            else math.nan
            for j, state in enumerate(states)
        ]


def _rate(path: Sequence[float], last: int) -> float | None:
    """Return the factor a turn: over the last turns, or over those that the length lasts for."""
    first = path[0]
    if not 0 < first < math.inf or math.isnan(path[-1]):
        return None
    gone = next((turn for turn, length in enumerate(path) if length <= _GONE * first), None)
    if gone is not None:
        return math.pow(path[gone] / first, 1 / gone)
    before, after = path[-1 - last], path[-1]
    return math.inf if after == math.inf else math.pow(after / before, 1 / last)


def _overall(path: Sequence[float]) -> float | None:
    """Return the factor a turn over all turns."""
    first, last = path[0], path[-1]
    if not (0 < first < math.inf and math.isfinite(last)):
        return None
    return math.pow(last / first, 1 / (len(path) - 1))
