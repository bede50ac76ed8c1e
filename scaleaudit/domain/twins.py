"""The twins of a probe: what they are called, and what one says of the fix that it stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scaleaudit.domain.facts import ProbeOutcome, StateProbe
from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.probing import StateTrace, TrainingRun

# The words for people, by which a run says what was put on the target.
WORDS = {
    FixKind.PENALTY: "a penalty on the carried state",
    FixKind.NORM_BETWEEN: "a norm between turns",
    FixKind.RAW_READOUT: "a raw readout",
}
# Losses at the end of a run that are averaged.
LAST_LOSSES = 10


@dataclass(frozen=True, slots=True)
class Ending:
    """How training ended; None where there is no number.

    Attributes:
        norm: Mean length of the state after the last turn.
        loss: The target's own loss, without what the fix adds, over the last steps.
    """

    norm: float | None
    loss: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a probe measured of a fix: the target and its twin on the same seeds.

    Attributes:
        seeds: On how many.
    """

    before: Ending
    after: Ending
    seeds: int


def behind(probe: ProbeOutcome, state: StateProbe | None) -> tuple[TrainingRun, ...]:
    """Return the runs that what is said of a state rests on, with others of their seeds beside them.

    What was left open is trained once more, with the same seed and fix and for more steps.

    Args:
        state: Which one; None for the runs of all states, as many steps each.
    """
    first: dict[tuple[int, str], TrainingRun] = {}
    longer: dict[tuple[int, str], TrainingRun] = {}
    for run in probe.runs:
        key = run.seed, run.fix
        (longer if key in first else first)[key] = run
    if state is None or state.steps <= probe.steps or not longer:
        return tuple(first.values())
    seeds = {seed for seed, _ in longer}
    return tuple(longer.get(key, run) for key, run in first.items() if key[0] in seeds)


def measured(kind: FixKind | None, probe: ProbeOutcome, index: int) -> Measured | None:
    """Say what a probe measured of a fix; None where no twin was trained with it.

    Args:
        kind: What the fix does.
        index: The position of the state among those of the probe.
    """
    if kind is None:
        return None
    # Of the twins only the penalised one is trained for longer, as the target is.
    longest = kind is FixKind.PENALTY and index < len(probe.states)
    runs_of_seeds = behind(probe, probe.states[index] if longest else None)
    own = {run.seed: run for run in runs_of_seeds if not run.fix}
    twins = {run.seed: run for run in runs_of_seeds if run.fix == WORDS[kind]}
    seeds = [
        seed
        for seed in sorted(own.keys() & twins.keys())
        if all(index < len(runs[seed].states) for runs in (own, twins))
    ]
    if not seeds:
        return None
    before, after = (_ending([runs[seed] for seed in seeds], index) for runs in (own, twins))
    return Measured(before, after, len(seeds))


def _ending(runs: Sequence[TrainingRun], index: int) -> Ending:
    norms = [_ended(run, run.states[index]) for run in runs]
    losses = [_last_loss(run) for run in runs]
    known = [norm for norm in norms if norm is not None and 0 < norm < math.inf]
    norm = math.exp(_mean(map(math.log, known))) if len(known) == len(norms) else None
    finite = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return Ending(norm, _mean(finite) if len(finite) == len(losses) else None)


def _ended(run: TrainingRun, trace: StateTrace) -> float | None:
    return None if run.overflowed is not None else trace.ended


def _last_loss(run: TrainingRun) -> float | None:
    last = run.losses[-LAST_LOSSES:]
    return _mean(last) if last and run.overflowed is None else None


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
