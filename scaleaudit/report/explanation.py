"""A finding explained in full: what was asked, what the answers are, and what would change them."""

from __future__ import annotations

from collections.abc import Iterator

from scaleaudit.domain.explanation import Condition, Explanation, WhatIf
from scaleaudit.domain.facts import Gain, LoopFacts, Penalty, ProofStep, Readout, StateFacts
from scaleaudit.domain.finding import Finding, Severity
from scaleaudit.domain.report import Report
from scaleaudit.report.excerpt import Sources, excerpt, place
from scaleaudit.report.patches import change_lines
from scaleaudit.report.proofs import fold
from scaleaudit.report.summaries import suppressed_text, target_text, verdict_text
from scaleaudit.report.terminal import Ink, Style, Verbatim, printable, wrapped
from scaleaudit.report.words import (
    certification_text,
    counted,
    penalty_text,
    readout_text,
    transition_text,
)

_STYLES = {
    Severity.ERROR: Style.ERROR,
    Severity.WARNING: Style.WARNING,
    Severity.NOTE: Style.NOTE,
}


def explanation_text(
    explanation: Explanation, report: Report, *, colour: bool = False, columns: int = 0
) -> str:
    """Write an explanation for people.

    Args:
        explanation: What there is to tell.
        report: Where its source lines are.
        colour: Whether to use ANSI colours.
        columns: How wide the terminal is that long lines are broken for; 0 for no terminal.
    """
    page = _Page(explanation, Sources(dict(report.sources)), Ink(colour=colour))
    lines = page.lines()
    if columns:
        lines = (part for line in lines for part in wrapped(line, columns))
    return "".join(f"{line.rstrip()}\n" for line in lines)


class _Page:
    """The lines of one explanation."""

    def __init__(self, explanation: Explanation, sources: Sources, ink: Ink) -> None:
        self._it = explanation
        self._sources = sources
        self._ink = ink

    def lines(self) -> Iterator[str]:
        finding = self._it.match.finding
        yield from self._head(finding)
        if self._it.condition is not None:
            yield from self._condition(finding, self._it.condition)
        if self._it.loop is not None and self._it.state is not None:
            yield from self._section("What is known of the state")
            yield from self._state(self._it.state, self._it.loop)
        yield from self._proof(finding.proof)
        yield from self._related(finding)
        yield from self._fixes(finding)
        if self._it.what_ifs:
            yield from self._section("What would change the answer")
            for what_if in self._it.what_ifs:
                yield from self._what_if(what_if, finding)

    def _section(self, title: str) -> Iterator[str]:
        yield ""
        yield self._ink(Style.STRONG, title)

    def _head(self, finding: Finding) -> Iterator[str]:
        style = _STYLES[finding.severity]
        head = self._ink(style, f"{finding.severity.value}[{printable(finding.code)}]")
        yield f"{head}{self._ink(Style.STRONG, f': {printable(finding.message)}')}"
        if finding.location is not None:
            yield f"  {self._ink(Style.MARGIN, '-->')} {place(finding.location)}"
            for line in excerpt(finding.location, self._sources, self._ink, style):
                yield Verbatim(f"  {line}")
        match = self._it.match
        yield f"  target       {printable(target_text(match.target))}: {verdict_text(match.target)}"
        for other in self._it.also:
            yield f"  also of      {printable(other)}"
        yield f"  about        {printable(finding.subject) or 'the target'}"
        yield f"  confidence   {finding.confidence.value}"
        yield f"  fingerprint  {printable(finding.fingerprint) or 'none'}"
        if match.accepted is not None:
            yield f"  accepted     {printable(suppressed_text(match.accepted))}"

    def _condition(self, finding: Finding, condition: Condition) -> Iterator[str]:
        yield from self._section(f"What {finding.code} asks ({printable(finding.name)})")
        for line in condition.source.splitlines():
            yield Verbatim(f"    {printable(line)}")
        if condition.values:
            yield "  and here"
            width = max(len(name) for name, _ in condition.values)
            for name, value in condition.values:
                yield f"    {printable(name):<{width}}  {printable(value)}"

    def _state(self, state: StateFacts, loop: LoopFacts) -> Iterator[str]:
        shape = " x ".join(map(str, state.shape)) or "scalar"
        yield (
            f"  `{printable(state.name)}` ({shape}, {printable(state.dtype)}) is carried through "
            f"{counted(loop.turns, 'turn')} of loop `{printable(loop.name)}`."
        )
        yield f"  each turn    {transition_text(state)}"
        if state.gain is not None:
            yield f"  gain         {_gain_text(state.gain)}"
        yield from _writes(state)
        if state.bypassed_norm is not None:
            yield f"  skip path    goes around the norm at {place(state.bypassed_norm)}"
        for opaque in state.opaque:
            where = f" at {place(opaque.location)}" if opaque.location else ""
            reason = printable(opaque.reason)
            yield f"  unknown      {printable(opaque.operator)}{where}: {reason}"
        for readout in state.readouts:
            yield f"  readout      {_readout_line(readout)}"
        for name in state.seen_through:
            yield f"  seen through state `{printable(name)}` alone"
        for penalty in state.penalties:
            yield f"  penalty      {_penalty_line(penalty)}"
        yield f"  the loss     {_loss_text(state)}"
        facts = self._it.match.target.facts
        if facts is not None and facts.certification is not None:
            yield f"  numbers      {printable(certification_text(facts.certification))}"

    def _proof(self, proof: tuple[ProofStep, ...]) -> Iterator[str]:
        if not proof:
            return
        yield from self._section("The proof: the states at all boundaries are multiplied by a > 1")
        number = 0
        for run in fold(proof):
            first = number + 1
            for step in run.steps:
                number += 1
                yield from self._step(number, step)
            if run.times > 1:
                steps = f"step {first}" if first == number else f"steps {first} to {number}"
                number += len(run.steps) * (run.times - 1)
                yield f"     ... {steps} again, {counted(run.times - 1, 'more time')}"

    def _step(self, number: int, step: ProofStep) -> Iterator[str]:
        where = f"{place(step.location)}: " if step.location else ""
        yield f"  {number:>2}. {where}{printable(step.text)}"
        line = self._sources.line(step.location.path, step.location.line) if step.location else None
        if line is not None:
            yield Verbatim(f"      {self._ink(Style.MARGIN, '|')} {printable(line.strip())}")
        yield f"      {printable(step.operator)}: {_degree_text(step.degree)}"

    def _related(self, finding: Finding) -> Iterator[str]:
        if finding.related:
            yield from self._section("Other places that take part")
            for related in finding.related:
                yield f"  {place(related.location)}: {printable(related.text)}"

    def _fixes(self, finding: Finding) -> Iterator[str]:
        if finding.fixes:
            yield from self._section("Ways out, as the rule has them")
            for fix in finding.fixes:
                yield f"  - {printable(fix.text)}"
                for line in change_lines(fix, self._ink):
                    yield Verbatim(f"        {line}")
                for line in fix.code.splitlines() if not fix.diff else ():
                    yield Verbatim(f"        {printable(line)}")

    def _what_if(self, what_if: WhatIf, finding: Finding) -> Iterator[str]:
        mark = self._ink(Style.GOOD, "+") if what_if.silences else self._ink(Style.ERROR, "-")
        yield f"  {mark} {printable(what_if.text)}:"
        for fact in what_if.facts:
            yield f"      {printable(fact)}"
        yield f"      then {_outcome(what_if, finding)}"


def _outcome(what_if: WhatIf, finding: Finding) -> str:
    others = ", ".join(what_if.others)
    if what_if.silences:
        text = f"{finding.code} is gone" + (f", {others} is found instead" if others else "")
    else:
        text = f"{finding.code} stays" + (f", and {others}" if others else "")
    return f"{text}; the verdict of the target is {what_if.verdict.value}"


def _gain_text(gain: Gain) -> str:
    learned = "set by a parameter" if gain.learned else "the same for all weights"
    where = f", applied at {place(gain.location)}" if gain.location else ""
    opened = ", ends in round brackets are never reached" if gain.low_open or gain.high_open else ""
    return f"{gain}, {learned}{where}{opened}"


def _writes(state: StateFacts) -> Iterator[str]:
    if state.branch_degree is not None:
        where = f" at {place(state.branch_location)}" if state.branch_location else ""
        yield f"  is added     {_degree_text(state.branch_degree)}{where}"
    bounded = "bounded by construction" if state.writes_bounded else "not bounded by construction"
    yield f"  writes       {bounded}"


def _readout_line(readout: Readout) -> str:
    where = f" ({place(readout.location)})" if readout.location else ""
    turns = f"; turns {', '.join(map(str, readout.turns))}" if readout.turns else ""
    return f"{printable(readout.name)}{where}: {readout_text(readout)}{turns}"


def _penalty_line(penalty: Penalty) -> str:
    where = f" ({place(penalty.location)})" if penalty.location else ""
    degree = _degree_text(penalty.degree)
    return f"{printable(penalty.name)}{where}: {penalty_text(penalty)}; {degree}"


def _loss_text(state: StateFacts) -> str:
    effective = sum(penalty.effective for penalty in state.penalties)
    restrain = {0: "no penalty restrains it", 1: "a penalty restrains it"}
    penalties = restrain.get(effective, f"{effective} penalties restrain it")
    return f"its readouts are {state.visibility.value} to the length, {penalties}"


def _degree_text(degree: float | None) -> str:
    """Say how a value answers to states that are a times as long."""
    if degree is None:
        return "how it answers to a is not known"
    if degree == 0:
        return "degree 0, it stays as it is whatever a is"
    return f"degree {degree:g}, it is multiplied by a^{degree:g}"
