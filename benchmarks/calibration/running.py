"""Runs cases: the probe's own protocol with one seed, a target and its twin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.calibration.cases import EXAMPLE, IDIOM, Case, Family
from benchmarks.calibration.idioms import place_of
from benchmarks.calibration.records import Figures, Record
from scaleaudit.bench import bench_of, built
from scaleaudit.domain.facts import ProbeOutcome, StateProbe
from scaleaudit.domain.probing import ProbeRequest, StateTrace
from scaleaudit.errors import CaptureError, ProbeError, full_sentence
from scaleaudit.probe.data import Feed, Stream
from scaleaudit.probe.evidence import fallen, grown_late
from scaleaudit.probe.protocol import Bench, probe
from scaleaudit.probe.twins import Fix

_DECLARED = "scaleaudit_target"
_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"
_FILE = '''"""One model of the calibration."""

from benchmarks.calibration.cases import Family
from benchmarks.calibration.family import declared


def scaleaudit_target():
    return declared({family!r})
'''
# A run is never cut short, so that what it took can be told.
_NO_LIMIT = 1e6


@dataclass(slots=True)
class Runner:
    """Runs cases one after the other; what is captured for a family serves all its seeds.

    Attributes:
        folder: Where files of targets are written.
    """

    folder: Path
    request: ProbeRequest
    _benches: dict[Family, Bench] = field(default_factory=dict)

    def __call__(self, case: Case) -> Record:
        """Make one run; that it cannot be made is a result as well."""
        try:
            bench = _from_seed(self._bench(case.family), case.seed)
            outcome = probe(bench, self._asked())
        except (ProbeError, CaptureError) as error:
            reason = full_sentence(error).replace(f"{_ROOT}/", "")
            return Record(case, self.request.steps, reason=reason)
        return record_of(case, outcome)

    def _asked(self) -> ProbeRequest:
        return replace(self.request, seeds=1, budget=_NO_LIMIT, brief=True)

    def _bench(self, family: Family) -> Bench:
        if family not in self._benches:
            path, name = self._place(family)
            self._benches[family] = bench_of(built(str(path), name), self._asked())
        return self._benches[family]

    def _place(self, family: Family) -> tuple[Path, str]:
        """Return the file of a model and the function that declares it."""
        if family.size == IDIOM:
            return place_of(family.model)
        if family.size == EXAMPLE:
            return _EXAMPLES / f"{family.model}.py", _DECLARED
        path = self.folder / f"model_{len(self._benches)}.py"
        path.write_text(_FILE.format(family=family), encoding="utf-8")
        return path, _DECLARED


class _Later:
    """The batches of another seed."""

    def __init__(self, stream: Stream, seed: int) -> None:
        self._stream, self._seed = stream, seed
        self.source = stream.source

    def batches(self, seed: int) -> Iterator[Feed]:
        return self._stream.batches(self._seed + seed)


def _from_seed(bench: Bench, seed: int) -> Bench:
    """Make what a probe takes for its first seed another one."""
    return replace(
        bench,
        weights=lambda more: bench.weights(seed + more),
        stream=_Later(bench.stream, seed),
    )


def record_of(case: Case, outcome: ProbeOutcome) -> Record:
    """Take the figures out of an outcome of one seed."""
    runs = {run.fix: run for run in outcome.runs}  # the longer ones, where there are any, are last
    own, twin = runs[""], runs[Fix.PENALTY.value]
    return Record(
        case,
        len(own.losses),
        states=tuple(
            _figures(*each, grown_late(own, place))
            for place, each in enumerate(zip(outcome.states, own.states, twin.states, strict=True))
        ),
        overflowed=own.overflowed is not None and twin.overflowed is None,
        fall=_number(fallen(twin)),
        loss=_number(own.losses[-1]),
        recipe=outcome.recipe,
        notes=outcome.notes,
        seconds=round(outcome.seconds, 1),
    )


def _figures(probed: StateProbe, own: StateTrace, twin: StateTrace, late: float | None) -> Figures:
    return Figures(
        own.state,
        known=probed.response is not None,
        response=_number(probed.response),
        first=_number(own.turns[0][-1].mean if own.ended is not None else None),
        norm=_number(own.ended),
        twin=_number(twin.ended),
        deeper=_number(probed.deepers[0] if probed.deepers else None),
        depths=tuple((depth.turns, _number(depth.norm)) for depth in own.depths),
        kept=_number(own.carry.kept),
        reach=_number(own.carry.reach),
        untouched=_number(own.carry.untouched),
        attainable=_number(own.carry.attainable),
        late=_number(late),
        directions=_number(probed.directions),
    )


def _number(value: float | None) -> float | None:
    """Return what JSON has a number for."""
    return value if value is not None and math.isfinite(value) else None
