"""What a finished run leaves for people and rules: lengths step by step, and at every depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun, Turn
from scaleaudit.probe.data import Feed
from scaleaudit.probe.depth import Deeper, cycles
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.parts import WHOLE, Parts, part_lengths
from scaleaudit.probe.program import Crossing, Edit, Program
from scaleaudit.probe.training import Trained
from scaleaudit.probe.twins import Fix, Twin

# The multiples of its turns that a loop is run to.
FURTHER = (2, 4)


def traced(
    program: Program,
    trained: Trained,
    batch: Feed,
    twin: Twin,
    which: tuple[int, Fix],
    group: Group = ALONE,
    parts: Parts = WHOLE,
) -> TrainingRun:
    """Put a run's traces together, and run it at every depth.

    Args:
        batch: What it is run on.
        which: The seed and the fix.
        group: The processes that trained together, each with a batch of its own.
        parts: What of a state is measured, where that is not all.
    """
    feed = {**trained.feed, **batch}
    states = []
    for i, loop in enumerate(program.nest.loops):
        depths = _depths(program, i, feed, twin, group, parts) if trained.overflowed is None else {}
        for j, state in enumerate(loop.states):
            turns = tuple(
                tuple(
                    Turn(found.mean, found.p95, found.largest)
                    for turn in range(1, len(state.boundary) + 1)
                    if (found := norms.get(program.crossing(i, j, turn))) is not None
                )
                for norms in trained.norms.values()
            )
            each = tuple(Depth(turn, norms[j], loss) for turn, (norms, loss) in depths.items())
            states.append(StateTrace(state.name, loop.name, turns, each))
    seed, fix = which
    return TrainingRun(
        seed=seed,
        fix="" if fix is Fix.NONE else fix.value,
        measured=tuple(trained.norms),
        losses=tuple(trained.losses),
        states=tuple(states),
        seconds=0.0,
        overflowed=trained.overflowed,
    )


def _depths(
    program: Program,
    loop: int,
    feed: Mapping[str, Tensor],
    edit: Edit,
    group: Group,
    parts: Parts,
) -> dict[int, tuple[Sequence[float], float]]:
    """For numbers of turns the mean lengths of a loop's states, and the loss with these states."""
    deeper = Deeper(program, loop)
    found: dict[int, tuple[Sequence[float], float]] = {}
    for turn, states in _at_depths(program, deeper, loop, feed, edit):
        norms = [
            float(group.joined(part_lengths(state, parts.get((loop, j)))).mean())
            for j, state in enumerate(states)
        ]
        found[turn] = (norms, group.mean(deeper.loss(states, feed)))
    return found


def _at_depths(
    program: Program, deeper: Deeper, loop: int, feed: Mapping[str, Tensor], edit: Edit
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Yield the states after each turn that was trained, and after the multiples beyond."""
    found = program.nest.loops[loop]
    crossed: dict[Crossing, Tensor] = {}

    def remember(crossing: Crossing, value: Tensor) -> Tensor:
        crossed[crossing] = edit(crossing, value)
        return crossed[crossing]

    with torch.no_grad():
        program.run(feed, remember)
    every = range(len(found.states))
    turns, strides = cycles(found)
    for turn in range(1, turns + 1):
        names = (program.crossing(loop, j, turn * (strides[j] or 1)) for j in every)
        yield turn, tuple(crossed[name] for name in names)
    if not deeper.possible:
        return
    wanted = {times * turns for times in FURTHER}
    further = islice(deeper.states(feed, edit), 1 + max(wanted) - turns)
    for turn, states in enumerate(further, turns):
        if turn in wanted:
            yield turn, states
