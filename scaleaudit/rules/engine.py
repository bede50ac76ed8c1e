"""Asking every rule of a target's facts, and drawing the verdict from the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import dedent

from scaleaudit.domain.facts import LoopFacts, Opaque, ScaleFacts, StateFacts
from scaleaudit.domain.finding import Confidence, Finding, Fix, IdleComment, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Verdict, verdict_of
from scaleaudit.errors import ScaleAuditError
from scaleaudit.rules import binding
from scaleaudit.rules.binding import Binding
from scaleaudit.rules.cel import Answer, Value
from scaleaudit.rules.doubt import deciding_operators, reasons
from scaleaudit.rules.evidence import (
    build,
    confidence_in_state,
    confidence_in_target,
    in_order,
)
from scaleaudit.rules.rule import Rule
from scaleaudit.rules.vocabulary import Scope


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules say of a target.

    Attributes:
        undecided: Where an error-severity rule has no answer, one sentence a reason.
        deciding: The operators for which it has none.
    """

    findings: tuple[Finding, ...]
    verdict: Verdict
    undecided: tuple[str, ...] = ()
    deciding: tuple[Opaque, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """A subject that rules of one scope are asked of."""

    scope: Scope
    binding: Binding
    confidence: Confidence
    state: StateFacts | None = None


@dataclass(frozen=True, slots=True)
class _Ruling:
    """A rule's answer for a case; ``severity`` where it fires."""

    severity: Severity | None
    undecided: bool


def evaluate(rules: tuple[Rule, ...], path: str, target: str, facts: ScaleFacts) -> Evaluation:
    """Ask the rules of an audited target.

    The verdict is fail with an error, else unknown where a rule that could be an error has no
    answer, else warn with a warning, else pass.
    """
    outermost = binding.of_target(path, target, facts)
    cases = tuple(_cases(outermost, facts))
    findings, doubtful = _ask(rules, cases)
    blocked = [case.state for _, case in doubtful if case.state is not None]
    operators = tuple(_operator_cases(outermost, facts, blocked))
    more, doubtful_operators = _ask(rules, operators)
    undecided = _sentences(doubtful + doubtful_operators, facts)
    found = in_order((*findings, *more))
    deciding = (opaque for state in blocked for opaque in deciding_operators(state, facts))
    return Evaluation(
        found, verdict_of(found, undecided), undecided, tuple(dict.fromkeys(deciding))
    )


def known_facts(
    rule: Rule, path: str, target: str, facts: ScaleFacts
) -> Iterator[tuple[str, tuple[tuple[str, Value | str], ...]]]:
    """Yield the facts that a rule's condition names, of every subject that it is asked of."""
    for case in _cases(binding.of_target(path, target, facts), facts):
        if case.scope is rule.scope:
            values = case.binding.values
            named = ((name, values.get(name, "unknown")) for name in rule.when.mentions)
            yield case.binding.subject, tuple(named)


def not_audited(
    rules: tuple[Rule, ...], path: str, target: str, error: ScaleAuditError
) -> tuple[Finding, ...]:
    """Ask the rules of a target that could not be audited; its hint stands for their fixes."""
    subject = f"{path}::{target}" if target else path
    bound = binding.of_failure(subject, error, _place(error.where))
    findings, _ = _ask(rules, (_Case(Scope.TARGET, bound, Confidence.PROVEN),))
    if error.hint:
        hint = (_fix(error.hint),)
        findings = [replace(found, fixes=hint) for found in findings]
    return in_order(tuple(findings))


def of_comment(rules: tuple[Rule, ...], idle: IdleComment) -> tuple[Finding, ...]:
    """Ask the rules of a comment that accepts nothing."""
    findings, _ = _ask(rules, (_Case(Scope.COMMENT, binding.of_comment(idle), Confidence.PROVEN),))
    return in_order(tuple(findings))


def _place(where: str) -> Location | None:
    path, _, line = where.rpartition(":")
    return Location(path, int(line)) if path and line.isdecimal() else None


def _fix(hint: str) -> Fix:
    """Split a hint into its sentence and, below an empty line, code."""
    text, _, code = hint.partition("\n\n")
    return Fix(text[:1].upper() + text[1:], dedent(code))


def _ask(
    rules: tuple[Rule, ...], cases: tuple[_Case, ...]
) -> tuple[list[Finding], list[tuple[Rule, _Case]]]:
    """Return the findings, and the rules that would be an error if their answer were known."""
    findings: list[Finding] = []
    doubtful: list[tuple[Rule, _Case]] = []
    for case in cases:
        for rule in rules:
            if rule.scope is not case.scope:
                continue
            ruling = _rule(rule, case.binding)
            if ruling.severity is not None:
                findings.append(build(rule, ruling.severity, case.binding, case.confidence))
            if ruling.undecided:
                doubtful.append((rule, case))
    return findings, doubtful


def _rule(rule: Rule, bound: Binding) -> _Ruling:
    """Hold a rule against one subject; severities are tried from the most severe down."""
    fires = rule.when.ask(bound.values)
    if fires is Answer.SILENT:
        return _Ruling(None, undecided=False)
    severity, undecided = rule.severity, False
    for candidate, condition in rule.severity_when:
        answer = condition.ask(bound.values)
        undecided |= answer is Answer.UNKNOWN and candidate is Severity.ERROR
        if answer is Answer.FIRES:
            severity = candidate
            break
    if fires is Answer.UNKNOWN:
        return _Ruling(None, undecided=undecided or severity is Severity.ERROR)
    return _Ruling(severity, undecided)


def _cases(outermost: Binding, facts: ScaleFacts) -> Iterator[_Case]:
    yield _Case(Scope.TARGET, outermost, Confidence.PROVEN)
    refuted = facts.certification.disagreements if facts.certification else ()
    for disagreement in refuted:
        bound = binding.of_claim(disagreement).inside(outermost)
        yield _Case(Scope.CLAIM, bound, Confidence.PROVEN)
    for loop in facts.loops:
        around = binding.of_loop(loop).inside(outermost)
        yield _Case(Scope.LOOP, around, confidence_in_target(facts))
        for state in loop.states:
            yield from _state_cases(state, loop, around, facts)


def _state_cases(
    state: StateFacts, loop: LoopFacts, around: Binding, facts: ScaleFacts
) -> Iterator[_Case]:
    bound = binding.of_state(state, loop, facts).inside(around)
    sure = confidence_in_state(state, facts)
    yield _Case(Scope.STATE, bound, sure, state)
    for readout in state.readouts:
        yield _Case(Scope.READOUT, binding.of_readout(readout).inside(bound), sure, state)
    for penalty in state.penalties:
        yield _Case(Scope.PENALTY, binding.of_penalty(penalty).inside(bound), sure, state)


def _operator_cases(
    outermost: Binding, facts: ScaleFacts, blocked: list[StateFacts]
) -> Iterator[_Case]:
    """Give one case an operator and line, by a state that hangs on it where there is one."""
    cases: dict[tuple[Opaque, bool], _Case] = {}
    for loop in facts.loops:
        around = binding.of_loop(loop).inside(outermost)
        for state in loop.states:
            inner = binding.of_state(state, loop, facts).inside(around)
            decides = any(state is each for each in blocked)
            for opaque in deciding_operators(state, facts):
                bound = binding.of_operator(opaque, decides=decides).inside(inner)
                case = _Case(Scope.OPERATOR, bound, Confidence.UNKNOWN, state)
                cases.setdefault((opaque, decides), case)
    for (opaque, decides), case in cases.items():
        if decides or (opaque, True) not in cases:
            yield case


def _sentences(doubtful: list[tuple[Rule, _Case]], facts: ScaleFacts) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for rule, case in doubtful:
        for sentence in reasons(rule, case.binding, case.state, facts):
            found[sentence] = None
    return tuple(found)
