"""From a finding to its explanation: the state that it is about, and what the rules would say if."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from scaleaudit.domain.explanation import Condition, Explanation, Match, WhatIf
from scaleaudit.domain.facts import LoopFacts, ScaleFacts, StateFacts, subject_of
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.explaining.hypotheses import Hypothesis, hypotheses

# What the rules find with such facts, and the verdict that they draw from it.
Judge: TypeAlias = "Callable[[ScaleFacts], tuple[tuple[Finding, ...], Verdict]]"


def explain(matches: tuple[Match, ...], judge: Judge, condition: Condition | None) -> Explanation:
    """Explain a finding.

    Args:
        matches: The finding, once for every target that has it.
        judge: Asks the rules of the first target about facts.
        condition: What its rule asked, where the rule is at hand.
    """
    match = matches[0]
    also = tuple(_name(other.target) for other in matches[1:])
    facts = match.target.facts
    about = None if facts is None else _about(match.finding, facts)
    if facts is None or about is None:
        return Explanation(match, condition, also=also)
    loop, state = about
    changes = hypotheses(state, loop, facts)
    what_ifs = tuple(_what_if(change, match.finding, judge) for change in changes)
    ordered = sorted(what_ifs, key=lambda each: not each.silences)
    return Explanation(match, condition, loop, state, tuple(ordered), also)


def _about(finding: Finding, facts: ScaleFacts) -> tuple[LoopFacts, StateFacts] | None:
    for loop, state in _states(facts):
        if subject_of(state, loop) == finding.subject:
            return loop, state
    return None


def _states(facts: ScaleFacts) -> Iterator[tuple[LoopFacts, StateFacts]]:
    for loop in facts.loops:
        for state in loop.states:
            yield loop, state


def _what_if(change: Hypothesis, finding: Finding, judge: Judge) -> WhatIf:
    found, verdict = judge(change.facts)
    codes = {each.code for each in found if each.subject == finding.subject}
    others = tuple(sorted(codes - {finding.code}))
    return WhatIf(change.text, change.told, finding.code not in codes, verdict, others)


def _name(target: TargetReport) -> str:
    return f"{target.path}::{target.name}" if target.name else target.path
