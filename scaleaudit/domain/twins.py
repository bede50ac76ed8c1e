"""The twins of a probe: what they are called, and what one says of the fix that it stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scaleaudit.domain.facts import ProbeOutcome
from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.probing import StateTrace, TrainingRun

# The words for people, by which a run says what was put on the target.
WORDS = {
    FixKind.PENALTY: "a penalty on the carried state",
    FixKind.NORM_BETWEEN: "a norm between turns",
    FixKind.RAW_READOUT: "a raw readout",
}
_KINDS = {words: kind for kind, words in WORDS.items()}
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


def kind_of(words: str) -> FixKind | None:
    """Return the kind of fix that the words of a run name."""
    return _KINDS.get(words)


def measured(kind: FixKind | None, probe: ProbeOutcome, index: int) -> Measured | None:
    """Say what a probe measured of a fix; None where no twin was trained with it.

    Args:
        kind: What the fix does.
        index: The position of the state among those of the probe.
    """
    if kind is None:
        return None
    own = {run.seed: run for run in probe.runs if not run.fix}
    twins = {run.seed: run for run in probe.runs if run.fix == WORDS[kind]}
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
