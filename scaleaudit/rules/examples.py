"""The examples of a page held against what the rules say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, ScaleFacts, StateProbe
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.report import TargetReport
from scaleaudit.rules.engine import evaluate, known_facts
from scaleaudit.rules.page import marks
from scaleaudit.rules.rule import Block, Rule

# What a training run of the paper's family ends with: norms of the state and of its twin, the
# factor of four times the turns, and how far the objective changes from scale 1e2 to 1e4.
_ENDS = {
    ProbeVerdict.CONFIRMED: (860.0, 31.0, 3.1, 0.001),
    ProbeVerdict.REFUTED: (14.0, 13.0, 1.0, 0.6),
    ProbeVerdict.INCONCLUSIVE: (120.0, 24.0, 1.3, 0.01),
}
_TWIN = "a penalty on the carried value"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a page's examples: at which line of the page, and what to do."""

    where: str
    message: str
    hint: str = ""


def with_outcome(facts: ScaleFacts, verdict: ProbeVerdict) -> ScaleFacts:
    """Add a training run that ended so for every state, with numbers that runs end with."""
    norm, twin, deeper, response = _ENDS[verdict]
    states = tuple(
        StateProbe(state.name, loop.name, verdict, response, norm, _TWIN, twin, deeper)
        for loop in facts.loops
        for state in loop.states
    )
    return replace(facts, probe=ProbeOutcome(verdict, states, steps=100, seeds=3))


def judged(report: TargetReport, block: Block, rules: tuple[Rule, ...]) -> TargetReport:
    """Judge an audited example with the training run that it says it had."""
    if block.probe is None or report.facts is None:
        return report
    facts = with_outcome(report.facts, block.probe)
    found = evaluate(rules, report.path, report.name, facts)
    return replace(report, facts=facts, findings=found.findings, verdict=found.verdict)


def mistakes(
    rule: Rule, block: Block, reports: tuple[TargetReport, ...], *, strict: bool
) -> Iterator[Mistake]:
    """Compare a block's marks with the findings in it.

    Args:
        rule: The rule of the page.
        block: One of its examples.
        reports: What was found of every target of the example.
        strict: Whether other rules' findings must be marked, too.
    """
    lost = [report for report in reports if report.facts is None]
    wanted = set(marks(block))
    if lost and rule.code not in _codes(lost):
        for report in lost:
            yield _lost(rule, block, report)
        return
    found = {(_line(each), each.code) for report in reports for each in report.findings}
    if not strict:
        named = {rule.code, *(code for _, code in wanted)}
        found = {(line, code) for line, code in found if code in named}
    for line, code in sorted(wanted - found):
        yield Mistake(_at(rule, block, line), *_silent(rule, code, found, reports))
    for line, code in sorted(found - wanted):
        yield Mistake(_at(rule, block, line), *_unmarked(block, code))


def _silent(
    rule: Rule, code: str, found: set[tuple[int, str]], reports: tuple[TargetReport, ...]
) -> tuple[str, str]:
    elsewhere = sorted(line for line, each in found if each == code)
    if elsewhere:
        return f"{code} does not fire on this line", "Move the mark, or change `location`."
    if code != rule.code:
        return f"{code} does not fire on this line, nor anywhere in the example", ""
    known = [
        f"{subject}: {', '.join(f'{name} {value}' for name, value in values) or 'nothing is known'}"
        for report in reports
        if report.facts is not None
        for subject, values in known_facts(rule, report.path, report.name, report.facts)
    ]
    asked = "; ".join(known) or f"the example has no {rule.scope.value} to ask"
    return f"{code} does not fire in this example", f"Its condition saw of {asked}."


def _unmarked(block: Block, code: str) -> tuple[str, str]:
    if block.section == "Bad":
        return f"{code} fires on this line, which is not marked", f"Add `# finding: {code}` to it."
    return f"{code} fires on this line of {block.section}", "Change the code or the condition."


def _lost(rule: Rule, block: Block, report: TargetReport) -> Mistake:
    why = next(iter(report.undecided), "it was not audited")
    line = next((_line(found) for found in report.findings), 1)
    hint = next((fix.text for found in report.findings for fix in found.fixes), "")
    return Mistake(_at(rule, block, line), f"the example cannot be audited: {why}", hint)


def _codes(reports: list[TargetReport]) -> set[str]:
    return {finding.code for report in reports for finding in report.findings}


def _line(finding: Finding) -> int:
    return finding.location.line if finding.location else 1


def _at(rule: Rule, block: Block, line: int) -> str:
    return f"{rule.path}:{block.line + line - 1}"
