"""A page's examples against reports: what is wrong is told with the line of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_support import RULES, at, facts, state

from scaleaudit.domain.facts import ProbeVerdict, ScaleFacts
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.rules.examples import Mistake, judged, mistakes
from scaleaudit.rules.rule import Block

RULE = replace(next(rule for rule in RULES if rule.code == "SCL101"), path="rules/page.md")
BAD = Block("Bad", 50, "first\nh = h + f(h)  # finding: SCL101\nlast\n")
GOOD = Block("Good", 80, "first\nh = norm(h)\nlast\n")


def finding(line: int, code: str = "SCL101") -> Finding:
    return Finding(code, "a-name", Severity.ERROR, Confidence.PROVEN, "It is bad.", at(line))


def report(*findings: Finding, known: ScaleFacts | None = None) -> TargetReport:
    known = known or facts(state("removed"))
    return TargetReport("model.py", "target", Verdict.PASS, known, findings)


def told(block: Block, *reports: TargetReport, strict: bool = False) -> list[Mistake]:
    return list(mistakes(RULE, block, reports, strict=strict))


def test_examples_that_are_as_they_say_are_passed_over() -> None:
    assert not told(BAD, report(finding(2)), strict=True)
    assert not told(GOOD, report(), strict=True)


def test_a_marked_line_without_its_finding_says_what_the_condition_saw() -> None:
    (mistake,) = told(BAD, report())
    assert mistake.where == "rules/page.md:51"
    assert mistake.message == "SCL101 does not fire in this example"
    assert "state `h` of loop `Model.forward`: " in mistake.hint
    assert "state.active False" in mistake.hint


def test_a_condition_that_is_not_known_says_so() -> None:
    (mistake,) = told(BAD, report(known=facts(state("unknown"))))
    assert "state.active unknown" in mistake.hint


def test_an_example_without_any_loop_has_nothing_to_ask() -> None:
    (mistake,) = told(BAD, report(known=replace(facts(), loops=())))
    assert "the example has no state to ask" in mistake.hint


def test_a_finding_on_another_line_is_told_at_both() -> None:
    marked, found = told(BAD, report(finding(3)))
    assert (marked.where, found.where) == ("rules/page.md:51", "rules/page.md:52")
    assert marked.message == "SCL101 does not fire on this line"
    assert "not marked" in found.message


def test_a_finding_in_good_code_is_told() -> None:
    (mistake,) = told(GOOD, report(finding(2)))
    assert mistake.where == "rules/page.md:81"
    assert "SCL101 fires on this line of Good" in mistake.message


def test_findings_of_other_rules_count_on_our_own_pages_and_where_they_are_marked() -> None:
    other = finding(3, "SCL201")
    assert not told(BAD, report(finding(2), other))
    (mistake,) = told(BAD, report(finding(2), other), strict=True)
    assert mistake.where == "rules/page.md:52"
    both = replace(BAD, code=BAD.code.replace("last", "last  # finding: SCL201"))
    assert not told(both, report(finding(2), other))
    assert "SCL201 does not fire" in told(both, report(finding(2)))[0].message


def test_an_example_that_cannot_be_audited_says_why_at_its_line() -> None:
    lost = replace(
        report(finding(3, "SCL901")), facts=None, undecided=("a module is not installed",)
    )
    (mistake,) = told(GOOD, lost)
    assert mistake.where == "rules/page.md:82"
    assert "cannot be audited: a module is not installed" in mistake.message


def test_a_page_about_what_cannot_be_audited_shows_it() -> None:
    rule = next(rule for rule in RULES if rule.code == "SCL901")
    block = replace(BAD, code=BAD.code.replace("SCL101", "SCL901"))
    lost = replace(report(finding(2, "SCL901")), facts=None)
    assert not list(mistakes(rule, block, (lost,), strict=True))


@pytest.mark.parametrize(
    ("verdict", "given", "codes"),
    [
        ("confirmed", state(), ["SCL101", "SCL401"]),
        ("confirmed", state("removed"), ["SCL401", "SCL402"]),
        ("confirmed", state("carried", "visible"), ["SCL401", "SCL402"]),
        ("confirmed", state("damped"), ["SCL205", "SCL401"]),
        ("confirmed", state("unknown"), ["SCL401"]),
        ("refuted", state(), ["SCL101", "SCL402"]),
        ("refuted", state("carried", "visible"), []),
        ("refuted", state("unknown"), []),
        ("inconclusive", state(), ["SCL101"]),
    ],
)
def test_an_example_is_judged_with_the_training_that_it_names(
    verdict: str, given: object, codes: list[str]
) -> None:
    block = replace(BAD, probe=ProbeVerdict(verdict))
    found = judged(report(known=facts(given)), block, RULES)  # type: ignore[arg-type]
    assert sorted({each.code for each in found.findings}) == codes


def test_what_was_measured_is_in_the_message() -> None:
    block = replace(BAD, probe=ProbeVerdict.CONFIRMED)
    found = judged(report(known=facts(state())), block, RULES)
    (message,) = (each.message for each in found.findings if each.code == "SCL401")
    assert (
        "its norm ends at 860, that of its twin (a penalty on the carried value) at 31" in message
    )
    assert "four times the turns multiply it by 3.1" in message


def test_an_example_without_training_is_left_as_it_was_audited() -> None:
    given = report(finding(2))
    assert judged(given, BAD, RULES) is given
