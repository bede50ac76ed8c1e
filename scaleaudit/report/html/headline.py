"""The verdict of a whole report, in one sentence."""

from __future__ import annotations

from collections import Counter

from scaleaudit.domain.finding import Finding
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.report.html.text import clipped
from scaleaudit.report.summaries import gravest_first, ranked, undecided, verdict_text

# Characters of what a rule or a reason says.
_LONGEST = 300
_ONE = {
    "fail": "fails",
    "warn": "passes with warnings",
    "pass": "passes",
    "unknown": "has no verdict yet",
    "not audited": "could not be audited",
}
_MANY = {**_ONE, "fail": "fail", "warn": "pass with warnings", "pass": "pass",
         "unknown": "have no verdict yet"}  # fmt: skip


def headline(report: Report) -> str:
    """Say what became of the targets, and of the gravest finding what it means."""
    if not report.targets:
        return "Nothing was audited: no target was found."
    return f"{_verdicts(report)}{_because(report)}"


def _verdicts(report: Report) -> str:
    targets = gravest_first(report.targets)
    if len(targets) == 1:
        (target,) = targets
        return f"`{clipped(target.name or target.path)}` {_ONE[verdict_text(target)]}"
    (first, number), *others = Counter(map(verdict_text, targets)).items()
    if not others:
        return f"all {number} targets {_MANY[first]}"
    told = [f"{number} of {len(targets)} targets {_said(first, number)}"]
    return ", ".join((*told, *(f"{number} {_said(verdict, number)}" for verdict, number in others)))


def _said(verdict: str, number: int) -> str:
    return _ONE[verdict] if number == 1 else _MANY[verdict]


def _because(report: Report) -> str:
    """Say what the most frequent of the gravest findings is about, else what is open."""
    found = ranked(report)
    if found:
        gravest = [f for _, f in found if f.severity is found[0][1].severity]
        code, number = Counter(finding.code for finding in gravest).most_common(1)[0]
        finding = next(finding for finding in gravest if finding.code == code)
        times = f", {number} times" if number > 1 else ""
        return f". {_meaning(report, finding)} ({code}{times})."
    reasons = [why for target in report.targets for why in undecided(target)]
    if reasons:
        return f": {clipped(reasons[0], _LONGEST)}."
    if any(map(_has_loop, report.targets)):
        whose = "its" if len(report.targets) == 1 else "their"
        return f": no rule found a fault in what {whose} loops carry."
    return ": no weight-tied loop was found, so no state is carried."


def _meaning(report: Report, finding: Finding) -> str:
    summary = next((rule.summary for rule in report.rules if rule.code == finding.code), "")
    return clipped(summary or finding.name.replace("-", " ").capitalize(), _LONGEST).removesuffix(
        "."
    )


def _has_loop(target: TargetReport) -> bool:
    return target.facts is not None and bool(target.facts.loops)
