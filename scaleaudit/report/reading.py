"""Reports read back from the JSON that they were written as.

What a report does not hold is not there: of sources the lines that it quotes, of rules the pages of
those that found something, and of declared laws nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from scaleaudit.domain.facts import (
    Certification,
    Coverage,
    Gain,
    LoopFacts,
    LossSource,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    Supervision,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Finding, Severity, Suppressed, SuppressionKind
from scaleaudit.domain.graph import Location, Note
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.domain.picture import Picture
from scaleaudit.domain.report import (
    Report,
    RuleDocument,
    Run,
    Skipped,
    StaleEntry,
    TargetReport,
    Verdict,
)
from scaleaudit.errors import ConfigError
from scaleaudit.report.probe_reading import ReadProbe
from scaleaudit.report.quoting import Quote, unquoted
from scaleaudit.report.structure import SCHEMA_VERSION
from scaleaudit.wire import read_json

# No source that is read has more; a file that says so is none of ours.
_MOST_LINES = 10_000_000


def from_json(text: str, name: str) -> Report:
    """Read a report.

    Args:
        text: What `--format json` printed.
        name: What it was read from, for messages.

    Raises:
        ConfigError: It is no such report, or one of a newer schema version.
    """
    try:
        version = read_json(text, _Version).schema_version
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"{name} was written by a newer scaleaudit: its schema version is {version}, and "
                f"this one reads up to {SCHEMA_VERSION}",
                hint="Read it with that version, or install it.",
            )
        return read_json(text, _Report).report()
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ConfigError(
            f"{name} is no report of scaleaudit: {error}",
            hint="Write one with `scaleaudit check PATH --output json:report.json`.",
        ) from error


@dataclass(frozen=True, slots=True)
class _Version:
    schema_version: int


@dataclass(frozen=True, slots=True)
class _IdentityPath:
    low_open: bool = False
    high_open: bool = False
    learned: bool = False
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class _Penalty:
    name: str
    degree: float | None
    location: Location | None
    reason: PenaltyFlaw | None
    proof: tuple[ProofStep, ...] = ()
    opaque: tuple[Opaque, ...] = ()

    def penalty(self) -> Penalty:
        return Penalty(self.name, self.degree, self.location, self.reason, self.proof, self.opaque)


@dataclass(frozen=True, slots=True)
class _State:
    name: str
    shape: tuple[int, ...]
    dtype: str
    location: Location | None
    transition: Transition
    visibility: Visibility
    readouts: tuple[Readout, ...]
    penalties: tuple[_Penalty, ...]
    gain: tuple[float | None, float | None] | None
    identity_path: _IdentityPath | None = None
    branch_degree: float | None = None
    branch_location: Location | None = None
    writes_bounded: bool = False
    bypassed_norm: Location | None = None
    transition_proof: tuple[ProofStep, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    seen_through: tuple[str, ...] = ()
    weighted_cycle: bool = True
    carried_dtype: str = ""
    period: int = 1
    picture: Picture | None = None

    def state(self) -> StateFacts:
        return StateFacts(
            name=self.name,
            shape=self.shape,
            dtype=self.dtype,
            location=self.location,
            transition=self.transition,
            visibility=self.visibility,
            readouts=self.readouts,
            penalties=tuple(each.penalty() for each in self.penalties),
            gain=self._gain(),
            branch_degree=self.branch_degree,
            branch_location=self.branch_location,
            writes_bounded=self.writes_bounded,
            bypassed_norm=self.bypassed_norm,
            transition_proof=self.transition_proof,
            opaque=self.opaque,
            seen_through=self.seen_through,
            weighted_cycle=self.weighted_cycle,
            carried_dtype=self.carried_dtype,
            period=self.period,
            picture=self.picture,
        )

    def _gain(self) -> Gain | None:
        """Return the factor; an end that is null has no limit."""
        if self.gain is None:
            return None
        low, high = self.gain
        path = self.identity_path or _IdentityPath()
        return Gain(
            low=-math.inf if low is None else low,
            high=math.inf if high is None else high,
            low_open=path.low_open,
            high_open=path.high_open,
            learned=path.learned,
            location=path.location,
        )


@dataclass(frozen=True, slots=True)
class _Loop:
    name: str
    turns: int
    location: Location | None
    states: tuple[_State, ...]
    turns_from: TurnsFrom | None = None

    def loop(self) -> LoopFacts:
        states = tuple(state.state() for state in self.states)
        return LoopFacts(self.name, self.turns, self.location, states, self.turns_from)


@dataclass(frozen=True, slots=True)
class _Unknown:
    operator: str
    location: Location | None
    reason: str
    decides: bool = False

    def opaque(self) -> Opaque:
        return Opaque(self.operator, self.location, self.reason)


@dataclass(frozen=True, slots=True)
class _Supervision:
    loss: LossSource = LossSource.MISSING
    name: str | None = None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Coverage:
    operators: int
    distinct_operators: int = 0
    unknown: tuple[_Unknown, ...] = ()
    notes: tuple[Note, ...] = ()
    supervision: _Supervision = _Supervision()

    def coverage(self) -> Coverage:
        said = self.supervision
        return Coverage(
            operators=self.operators,
            unknown=tuple(each.opaque() for each in self.unknown),
            notes=self.notes,
            distinct=self.distinct_operators,
            deciding=tuple(each.opaque() for each in self.unknown if each.decides),
            supervision=Supervision(said.loss, said.name or "", said.outputs),
        )


@dataclass(frozen=True, slots=True)
class _Suppression:
    kind: SuppressionKind
    reason: str = ""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class _Suppressed(Finding):
    suppression: _Suppression = field(kw_only=True)

    def suppressed(self) -> Suppressed:
        values = {name: getattr(self, name) for name in Finding.__slots__}
        said = self.suppression
        return Suppressed(Finding(**values), said.kind, said.reason, said.location)


@dataclass(frozen=True, slots=True)
class _Target:
    path: str
    name: str
    verdict: Verdict
    undecided: tuple[str, ...]
    loops: tuple[_Loop, ...]
    findings: tuple[Finding, ...]
    coverage: _Coverage | None
    loss_found: bool | None = None
    seconds: float = 0.0
    suppressed: tuple[_Suppressed, ...] = ()
    certification: Certification | None = None
    probe: ReadProbe | None = None

    def target(self) -> TargetReport:
        return TargetReport(
            path=self.path,
            name=self.name,
            verdict=self.verdict,
            facts=self._facts(),
            findings=self.findings,
            undecided=self.undecided,
            seconds=self.seconds,
            suppressed=tuple(each.suppressed() for each in self.suppressed),
        )

    def _facts(self) -> ScaleFacts | None:
        if self.coverage is None:
            return None
        return ScaleFacts(
            loops=tuple(loop.loop() for loop in self.loops),
            coverage=self.coverage.coverage(),
            loss_found=bool(self.loss_found),
            certification=self.certification,
            probe=self.probe.outcome() if self.probe else None,
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    code: str
    name: str
    severity: Severity
    status: str
    since: str | None = None
    summary: str | None = None
    help: str | None = None
    references: tuple[str, ...] = ()

    def document(self) -> RuleDocument:
        return RuleDocument(
            code=self.code,
            name=self.name,
            summary=self.summary or "",
            severity=self.severity,
            status=self.status,
            since=self.since or "",
            help=self.help or "",
            references=self.references,
        )


@dataclass(frozen=True, slots=True)
class _Revision:
    commit: str
    modified: bool


@dataclass(frozen=True, slots=True)
class _Run:
    command: tuple[str, ...]
    date: str
    python: str
    revision: _Revision | None

    def run(self) -> Run:
        found = self.revision or _Revision("", modified=False)
        return Run(self.command, self.date, self.python, found.commit, found.modified)


@dataclass(frozen=True, slots=True)
class _Excerpt:
    path: str
    line: Annotated[int, msgspec.Meta(ge=1, le=_MOST_LINES)]
    text: str

    def quote(self) -> Quote:
        return Quote(self.path, self.line, tuple(self.text.split("\n")))


@dataclass(frozen=True, slots=True)
class _Report:
    scaleaudit: str
    torch: str
    targets: tuple[_Target, ...]
    skipped: tuple[Skipped, ...] = ()
    rules: tuple[_Rule, ...] = ()
    stale: tuple[StaleEntry, ...] = ()
    run: _Run | None = None
    excerpts: tuple[_Excerpt, ...] = ()

    def report(self) -> Report:
        return Report(
            version=self.scaleaudit,
            torch_version=self.torch,
            targets=tuple(target.target() for target in self.targets),
            skipped=self.skipped,
            sources=unquoted(excerpt.quote() for excerpt in self.excerpts),
            rules=tuple(rule.document() for rule in self.rules),
            stale=self.stale,
            run=self.run.run() if self.run else None,
        )
