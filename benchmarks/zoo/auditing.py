"""Audits target files through scaleaudit's own front door, and keeps what counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.zoo.architectures import Architecture
from benchmarks.zoo.building import BUILD, Outcome
from benchmarks.zoo.records import Finding, Loop, Record, State, Status, Unknown
from scaleaudit.api import Options, audit
from scaleaudit.domain.facts import LoopFacts, StateFacts
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport

_PACKAGES = "site-packages/"


@dataclass(frozen=True, slots=True)
class Built:
    """An architecture with its target file and what came of running it."""

    architecture: Architecture
    target: Path
    outcome: Outcome


def audit_targets(batch: Sequence[Built], jobs: int) -> Iterator[Record]:
    """Audit what runs eagerly, all in one call, and yield a record for each.

    Should the call itself fail, each is audited in a call of its own, so that it takes no other
    with it.
    """
    files = [str(built.target) for built in batch if not built.outcome.trouble]
    try:
        reports = _audited(files, jobs)
    except Exception as error:
        if len(batch) == 1:
            reason = f"the audit itself failed: {type(error).__name__}: {error}"
            yield replace(record_of(batch[0], None), status=Status.NOT_AUDITED, reason=reason)
            return
        for built in batch:
            yield from audit_targets([built], jobs)
        return
    for built in batch:
        yield record_of(built, reports.get(built.architecture.class_name))


def _audited(files: Sequence[str], jobs: int) -> Mapping[str, TargetReport]:
    if not files:
        return {}
    return {Path(t.path).stem: t for t in audit(files, Options(jobs=jobs)).targets}


def record_of(built: Built, report: TargetReport | None) -> Record:
    """Join what was found out by running an architecture and by auditing it."""
    failed = Status.DOES_NOT_BUILD if built.outcome.trouble == BUILD else Status.DOES_NOT_RUN
    record = Record(
        class_name=built.architecture.class_name,
        model_type=built.architecture.model_type,
        kind=built.architecture.kind,
        status=failed,
        reason=built.outcome.reason,
        tries=built.outcome.tries,
        parameters=built.outcome.parameters,
        eager_seconds=round(built.outcome.seconds, 2),
    )
    return record if report is None else _with_report(record, report)


def _with_report(record: Record, report: TargetReport) -> Record:
    facts = report.facts
    record = replace(record, seconds=round(report.seconds, 2))
    if facts is None:
        reason = "; ".join(f"{f.message} ({_place(f.location)})" for f in report.findings)
        return replace(record, status=Status.NOT_AUDITED, reason=reason)
    return replace(
        record,
        status=Status.AUDITED,
        reason="",
        verdict=report.verdict.value,
        loops=tuple(map(_loop, facts.loops)),
        findings=tuple(Finding(f.code, f.message, _place(f.location)) for f in report.findings),
        unknown=tuple(
            Unknown(o.operator, _place(o.location), o.reason) for o in facts.coverage.unknown
        ),
        undecided=report.undecided,
        notes=tuple(note.message for note in facts.coverage.notes),
        operators=facts.coverage.operators,
    )


def _loop(loop: LoopFacts) -> Loop:
    return Loop(loop.name, loop.turns, _place(loop.location), tuple(map(_state, loop.states)))


def _state(state: StateFacts) -> State:
    return State(state.name, state.transition.value, state.visibility.value, state.weighted_cycle)


def _place(location: Location | None) -> str:
    """Spell a place, of an installed package without the folder that it is installed in."""
    if location is None:
        return ""
    return f"{location.path.rpartition(_PACKAGES)[2]}:{location.line}"
