"""The report for people: full like a compiler's, or one line a finding."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from scaleaudit.domain.facts import LoopFacts, Opaque, ScaleFacts, StateFacts
from scaleaudit.domain.finding import Confidence, Finding, Fix, Severity
from scaleaudit.domain.graph import Note
from scaleaudit.domain.report import Report, Skip, Skipped, TargetReport, Verdict
from scaleaudit.report.excerpt import Sources, excerpt, place
from scaleaudit.report.patches import change_lines
from scaleaudit.report.probing import probe_lines
from scaleaudit.report.proofs import proof_lines
from scaleaudit.report.summaries import (
    closing_text,
    stale_text,
    suppressed_text,
    undecided,
    verdict_text,
)
from scaleaudit.report.terminal import Ink, Style, Verbatim, indented, printable, wrapped
from scaleaudit.report.words import (
    certification_text,
    coverage_text,
    penalty_text,
    readout_text,
    reason,
    transition_text,
)


class Detail(Enum):
    """How much to say."""

    FULL = "full"
    CONCISE = "concise"


_SEVERITY_STYLES = {
    Severity.ERROR: Style.ERROR,
    Severity.WARNING: Style.WARNING,
    Severity.NOTE: Style.NOTE,
}
_VERDICT_STYLES = {
    Verdict.FAIL: Style.ERROR,
    Verdict.WARN: Style.WARNING,
    Verdict.PASS: Style.GOOD,
    Verdict.UNKNOWN: Style.WARNING,
}


def to_text(
    report: Report,
    detail: Detail = Detail.FULL,
    *,
    colour: bool = False,
    show_output: bool = False,
    quiet: bool = False,
    columns: int = 0,
) -> str:
    """Write a report for people.

    Args:
        report: The finished audit.
        detail: Full with excerpts and proofs, or one line a finding.
        colour: Whether to use ANSI colours.
        show_output: Whether to show what the models' code printed.
        quiet: Whether to leave out all but findings, and why a verdict is unknown.
        columns: How wide the terminal is that long lines are broken for; 0 for no terminal.
    """
    page = _Page(report, Ink(colour=colour), show_output=show_output)
    match detail:
        case Detail.FULL:
            lines = page.full(quiet=quiet)
            if columns:
                lines = (part for line in lines for part in wrapped(line, columns))
        case Detail.CONCISE:
            lines = page.concise(quiet=quiet)
    return "".join(f"{line}\n" for line in lines)


class _Page:
    """The lines of one report."""

    def __init__(self, report: Report, ink: Ink, *, show_output: bool) -> None:
        self._report = report
        self._ink = ink
        self._sources = Sources(dict(report.sources))
        self._show_output = show_output

    def full(self, *, quiet: bool) -> Iterator[str]:
        for target in self._report.targets:
            for finding in target.findings:
                yield from self._finding(finding)
                yield ""
            if quiet:
                yield from self._unknown(target)
            else:
                yield from self._target(target)
                yield ""
        if not quiet:
            yield from self._asides()
            yield self._closing()

    def concise(self, *, quiet: bool) -> Iterator[str]:
        for target in self._report.targets:
            for finding in target.findings:
                where = place(finding.location) if finding.location else printable(target.path)
                code = self._ink(_SEVERITY_STYLES[finding.severity], finding.code)
                said = f"{finding.severity.value} {code} {printable(finding.message)}"
                yield f"{where}: {said}{self._named(target)}"
            yield from self._unknown(target)
            yield from self._output(target)
        if quiet:
            return
        yield from (
            _skipped(each) for each in self._report.skipped if each.kind is not Skip.NO_MODEL
        )
        for entry in self._report.stale:
            yield printable(stale_text(entry))
        yield self._closing()

    def _unknown(self, target: TargetReport) -> Iterator[str]:
        for why in undecided(target):
            yield f"{printable(target.path)}: unknown: {printable(why)}{self._named(target)}"

    def _named(self, target: TargetReport) -> str:
        """The target that a line is about, where a file holds several."""
        paths = [other.path for other in self._report.targets]
        return f" [{printable(target.name)}]" if paths.count(target.path) > 1 else ""

    def _finding(self, finding: Finding) -> Iterator[str]:
        style = _SEVERITY_STYLES[finding.severity]
        head = self._ink(style, f"{finding.severity.value}[{finding.code}]")
        yield f"{head}{self._ink(Style.STRONG, f': {printable(finding.message)}')}"
        arrow, equals = self._ink(Style.MARGIN, "-->"), self._ink(Style.MARGIN, "=")
        if finding.location is not None:
            yield f"  {arrow} {place(finding.location)}"
            for line in excerpt(finding.location, self._sources, self._ink, style):
                yield Verbatim(f"  {line}")
        if finding.proof:
            yield f"  {equals} proof, step by step:"
            for line in proof_lines(finding.proof, self._sources, self._ink):
                yield indented(line, 4)
        for related in finding.related:
            yield f"  {equals} note: {printable(related.text)}"
            yield f"    {arrow} {place(related.location)}"
            for line in excerpt(related.location, self._sources, self._ink, Style.NOTE):
                yield Verbatim(f"    {line}")
        for fix in finding.fixes:
            yield from self._fix(fix)
        if finding.confidence is not Confidence.PROVEN:
            yield f"  {equals} confidence: {finding.confidence.value}"
        yield f"  {equals} rule: {printable(finding.name)} (`scaleaudit rule {finding.code}`)"

    def _fix(self, fix: Fix) -> Iterator[str]:
        yield f"  {self._ink(Style.MARGIN, '=')} {self._ink(Style.GOOD, 'fix:')} {printable(fix.text)}"
        for line in change_lines(fix, self._ink):
            yield Verbatim(f"        {line}")
        for line in fix.code.splitlines() if not fix.diff else ():
            yield Verbatim(f"        {printable(line)}".rstrip())

    def _target(self, target: TargetReport) -> Iterator[str]:
        name = printable(f"{target.path}::{target.name}" if target.name else target.path)
        verdict = self._ink(_VERDICT_STYLES[target.verdict], verdict_text(target))
        yield f"{self._ink(Style.STRONG, name)}: {verdict}"
        for why in target.undecided if target.facts is not None else ():
            yield f"  undecided: {printable(why)}"
        if target.facts is not None:
            yield from self._facts(target.facts)
        for suppressed in target.suppressed:
            yield f"  suppressed: {printable(suppressed_text(suppressed))}"
        yield from self._output(target)

    def _facts(self, facts: ScaleFacts) -> Iterator[str]:
        if not facts.loops:
            yield "  no weight-tied loop: no state is carried"
        for loop in facts.loops:
            yield from self._loop(loop)
        known = facts.coverage
        yield f"  coverage: {printable(coverage_text(known))}"
        for opaque in known.unknown:
            matters = "decides the verdict" if opaque in known.deciding else "decides nothing"
            yield f"    unknown, {matters}: {self._opaque(opaque)}"
        if known.supervision.outputs:
            names = ", ".join(map(printable, known.supervision.outputs))
            yield f"    taken as supervised: {names}"
        for note in known.notes:
            yield f"  note: {self._note(note)}"
        if facts.certification is not None:
            yield f"  {printable(certification_text(facts.certification))}"
        if facts.probe is not None:
            for line in probe_lines(facts.probe, self._ink):
                yield Verbatim(f"  {line}".rstrip())

    def _loop(self, loop: LoopFacts) -> Iterator[str]:
        where = f" ({place(loop.location)})" if loop.location else ""
        yield f"  loop {printable(loop.name)}, {loop.turns} turns{where}"
        for state in loop.states:
            yield from self._state(state)

    def _state(self, state: StateFacts) -> Iterator[str]:
        shape = " x ".join(str(size) for size in state.shape) or "scalar"
        yield f"    state {printable(state.name)} ({shape}, {printable(state.dtype)}): {printable(reason(state))}"
        yield f"      each turn   {transition_text(state)}"
        for readout in state.readouts:
            where = f" ({place(readout.location)})" if readout.location else ""
            yield f"      readout     {printable(readout.name)}{where}: {readout_text(readout)}"
        for penalty in state.penalties:
            where = f" ({place(penalty.location)})" if penalty.location else ""
            yield f"      penalty     {printable(penalty.name)}{where}: {penalty_text(penalty)}"

    def _opaque(self, opaque: Opaque) -> str:
        where = f"{place(opaque.location)}: " if opaque.location else ""
        return f"{where}{printable(opaque.operator)}: {printable(opaque.reason)}"

    def _note(self, note: Note) -> str:
        where = f"{place(note.location)}: " if note.location else ""
        return f"{where}{printable(note.message)}"

    def _output(self, target: TargetReport) -> Iterator[str]:
        if self._show_output and target.output:
            yield f"  output of {printable(target.path)}:"
            for line in target.output.splitlines():
                yield Verbatim(f"    | {printable(line)}".rstrip())

    def _asides(self) -> Iterator[str]:
        yield from map(_skipped, self._report.skipped)
        for entry in self._report.stale:
            yield printable(stale_text(entry))
        if self._report.skipped or self._report.stale:
            yield ""

    def _closing(self) -> str:
        return closing_text(self._report)


def _skipped(left: Skipped) -> str:
    return f"{printable(left.path)}: skipped: {printable(left.reason)}"
