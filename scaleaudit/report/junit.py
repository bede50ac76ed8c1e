"""The report as JUnit XML, as Jenkins reads it: a suite a file, a case a target.

What fails the run fails the case. What does not is told in the case's output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from scaleaudit.domain.finding import Finding, Severity
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.report.encoding import xml_text
from scaleaudit.report.excerpt import Sources, place
from scaleaudit.report.proofs import proof_lines
from scaleaudit.report.summaries import (
    closing_text,
    stale_text,
    suppressed_text,
    undecided,
    verdict_text,
)
from scaleaudit.report.terminal import Ink, printable

_PLAIN = Ink(colour=False)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a case did not pass; ``broken`` where it could not be tried."""

    kind: str
    message: str
    text: str
    broken: bool = False


def to_junit(
    report: Report,
    failing: Collection[Severity] = (Severity.ERROR,),
    *,
    unknown_fails: bool = True,
) -> str:
    """Write a report as JUnit XML.

    Args:
        report: The finished audit.
        failing: The severities that fail a run.
        unknown_fails: Whether a target without a verdict does.
    """
    sources = Sources(dict(report.sources))
    root = ET.Element("testsuites", name="scaleaudit")
    for path in dict.fromkeys(target.path for target in report.targets):
        suite = ET.SubElement(root, "testsuite", name=_text(path))
        for target in report.targets:
            if target.path == path:
                faults = list(_faults(target, sources, failing, unknown_fails=unknown_fails))
                suite.append(_case(target, faults))
        _count(suite)
    root.append(_asides(report))
    _count(root)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _faults(
    target: TargetReport, sources: Sources, failing: Collection[Severity], *, unknown_fails: bool
) -> Iterator[_Fault]:
    for finding in target.findings:
        if finding.severity in failing or target.facts is None:
            text = "\n".join(_finding(target, finding, sources))
            broken = target.facts is None
            yield _Fault(finding.code, printable(finding.message), text, broken=broken)
    if unknown_fails:
        for reason in undecided(target):
            message = f"the verdict is unknown: {printable(reason)}"
            yield _Fault("undecided", message, message)


def _finding(target: TargetReport, finding: Finding, sources: Sources) -> Iterator[str]:
    where = place(finding.location) if finding.location else printable(target.path)
    yield f"{where}: {finding.severity.value} {finding.code} {printable(finding.message)}"
    yield from proof_lines(finding.proof, sources, _PLAIN)
    for related in finding.related:
        yield f"note: {place(related.location)}: {printable(related.text)}"
    for fix in finding.fixes:
        yield f"fix: {printable(fix.text)}"
        yield from (f"    {printable(line)}" for line in fix.code.splitlines())


def _case(target: TargetReport, faults: list[_Fault]) -> ET.Element:
    name = target.name or target.path
    seconds = f"{target.seconds:.3f}"
    case = ET.Element("testcase", name=_text(name), classname=_text(target.path), time=seconds)
    if faults:
        case.append(_failure(faults))
    ET.SubElement(case, "system-out").text = xml_text("\n".join(_output(target, faults)))
    return case


def _failure(faults: list[_Fault]) -> ET.Element:
    """Put all that is wrong with a case into one element: Jenkins reads the first alone."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    tag = "error" if first.broken else "failure"
    found = ET.Element(tag, type=_text(first.kind), message=_text(f"{first.message}{more}"))
    found.text = xml_text("\n\n".join(fault.text for fault in faults))
    return found


def _output(target: TargetReport, faults: list[_Fault]) -> Iterator[str]:
    """Yield the verdict and all that fails nothing."""
    told = {(fault.kind, fault.message) for fault in faults}
    yield f"verdict: {verdict_text(target)}"
    for finding in target.findings:
        if (finding.code, printable(finding.message)) not in told:
            yield from _finding(target, finding, Sources({}))
    for reason in undecided(target):
        yield f"undecided: {printable(reason)}"
    for suppressed in target.suppressed:
        yield f"suppressed: {printable(suppressed_text(suppressed))}"


def _asides(report: Report) -> ET.Element:
    """Tell of what no target is about, in a suite without cases."""
    suite = ET.Element("testsuite", name="scaleaudit")
    _count(suite)
    lines = [f"{left.path}: skipped: {left.reason}" for left in report.skipped]
    lines += [stale_text(entry) for entry in report.stale]
    lines.append(closing_text(report))
    ET.SubElement(suite, "system-out").text = _text("\n".join(map(printable, lines)))
    return suite


def _count(element: ET.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    element.set("errors", str(sum(case.find("error") is not None for case in cases)))


def _text(text: str) -> str:
    return xml_text("\n".join(map(printable, text.split("\n"))))
