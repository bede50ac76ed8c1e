"""Probes read back from the JSON of a report, with all that they went through.

JSON has no word for numbers that are none, so of these only that they are none is read: as NaN where
a number has to be, else as None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import Carry, Depth, StateTrace, TrainingRun, Turn

# Null stands for a number that is none.
_Number: TypeAlias = float | None


@dataclass(frozen=True, slots=True)
class _StateProbe:
    name: str
    loop: str
    verdict: ProbeVerdict
    response: _Number = None
    norm: _Number = None
    twin: str | None = None
    twin_norm: _Number = None
    ratios: tuple[_Number, ...] = ()
    deeper: _Number = None
    deepers: tuple[_Number, ...] = ()
    directions: _Number = None
    reason: str | None = None
    steps: int = 0

    def state(self) -> StateProbe:
        return StateProbe(
            state=self.name,
            loop=self.loop,
            verdict=self.verdict,
            response=self.response,
            norm=self.norm,
            twin=self.twin or "",
            twin_norm=self.twin_norm,
            deeper=self.deeper,
            reason=self.reason or "",
            ratios=_numbers(self.ratios),
            deepers=_numbers(self.deepers),
            directions=self.directions,
            steps=self.steps,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    mean: _Number
    p95: _Number
    max: _Number

    def turn(self) -> Turn:
        return Turn(*_numbers((self.mean, self.p95, self.max)))


@dataclass(frozen=True, slots=True)
class _Depth:
    turns: int
    norm: _Number
    loss: _Number

    def depth(self) -> Depth:
        return Depth(self.turns, *_numbers((self.norm, self.loss)))


@dataclass(frozen=True, slots=True)
class _Trace:
    name: str
    loop: str
    norms: tuple[tuple[_Turn, ...], ...] = ()
    depths: tuple[_Depth, ...] = ()
    kept: _Number = None
    reach: _Number = None
    untouched: _Number = None
    attainable: _Number = None

    def trace(self) -> StateTrace:
        turns = tuple(tuple(at.turn() for at in step) for step in self.norms)
        depths = tuple(at.depth() for at in self.depths)
        carry = Carry(self.kept, self.reach, self.untouched, self.attainable)
        return StateTrace(self.name, self.loop, turns, depths, carry)


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run as it is kept."""

    seed: int
    fix: str | None
    seconds: float
    overflowed: int | None
    losses: tuple[_Number, ...]
    measured: tuple[int, ...]
    states: tuple[_Trace, ...]

    def run(self) -> TrainingRun:
        """Return the run that it stands for."""
        return TrainingRun(
            seed=self.seed,
            fix=self.fix or "",
            measured=self.measured,
            losses=_numbers(self.losses),
            states=tuple(state.trace() for state in self.states),
            seconds=self.seconds,
            overflowed=self.overflowed,
        )


@dataclass(frozen=True, slots=True)
class _Readout:
    turn: int
    losses: tuple[_Number, ...]
    radial: _Number = None

    def readout(self, factors: Sequence[float]) -> ReadoutResponse:
        return ReadoutResponse(self.turn, _swept(factors, self.losses), self.radial)


@dataclass(frozen=True, slots=True)
class _Step:
    turn: int
    norm: _Number
    radial: _Number
    angular: _Number
    swallowed: _Number
    largest: _Number

    def step(self) -> TurnStep:
        norm, largest = _numbers((self.norm, self.largest))
        return TurnStep(self.turn, norm, self.radial, self.angular, self.swallowed, largest)


@dataclass(frozen=True, slots=True)
class _StateDiagnostics:
    name: str
    loop: str
    turns: int
    losses: tuple[_Number, ...] = ()
    readouts: tuple[_Readout, ...] = ()
    steps: tuple[_Step, ...] = ()
    growth: PowerLaw | None = None
    turning: PowerLaw | None = None
    radius: _Number = None
    clamped: _Number = None
    reason: str | None = None

    def state(self, factors: Sequence[float]) -> StateDiagnostics:
        return StateDiagnostics(
            state=self.name,
            loop=self.loop,
            turns=self.turns,
            losses=_swept(factors, self.losses),
            readouts=tuple(each.readout(factors) for each in self.readouts),
            steps=tuple(each.step() for each in self.steps),
            growth=self.growth,
            turning=self.turning,
            radius=self.radius,
            clamped=self.clamped,
            reason=self.reason or "",
        )


@dataclass(frozen=True, slots=True)
class _Diagnostics:
    loss: _Number
    states: tuple[_StateDiagnostics, ...]
    weights: str | None = None
    factors: tuple[float, ...] = SWEEP

    def diagnostics(self) -> Diagnostics:
        (loss,) = _numbers((self.loss,))
        states = tuple(state.state(self.factors) for state in self.states)
        return Diagnostics(self.weights or "", loss, states)


@dataclass(frozen=True, slots=True)
class ReadProbe:
    """A probe as a report in JSON has it; ``outcome`` makes of it what was written."""

    verdict: ProbeVerdict
    states: tuple[_StateProbe, ...] = ()
    steps: int = 0
    seeds: int = 0
    seconds: float = 0.0
    reason: str | None = None
    recipe: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    runs: tuple[ReadRun, ...] = ()
    diagnostics: _Diagnostics | None = None

    def outcome(self) -> ProbeOutcome:
        """Return the probe."""
        return ProbeOutcome(
            verdict=self.verdict,
            states=tuple(state.state() for state in self.states),
            steps=self.steps,
            seeds=self.seeds,
            diagnostics=self.diagnostics.diagnostics() if self.diagnostics else None,
            reason=self.reason or "",
            recipe=tuple(self.recipe.items()),
            runs=tuple(run.run() for run in self.runs),
            notes=self.notes,
            seconds=self.seconds,
        )


def _numbers(found: Sequence[_Number]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in found)


def _swept(factors: Sequence[float], losses: Sequence[_Number]) -> tuple[float, ...]:
    """Return losses by the factors of ``SWEEP``, whatever those were that they were measured at."""
    if not losses:
        return ()
    found = dict(zip(factors, _numbers(losses), strict=False))
    return tuple(found.get(factor, math.nan) for factor in SWEEP)
