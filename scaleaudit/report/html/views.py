"""A report as a page tells it: findings under the states that they are about, proofs in steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from markupsafe import Markup

from scaleaudit.domain.about import place_of
from scaleaudit.domain.facts import (
    LoopFacts,
    ProbeOutcome,
    ProofStep,
    ScaleFacts,
    StateFacts,
    StateProbe,
)
from scaleaudit.domain.finding import Finding, Fix, Related
from scaleaudit.domain.report import Report, RuleDocument, TargetReport
from scaleaudit.domain.twins import Measured, measured
from scaleaudit.report.html.chart import Table
from scaleaudit.report.html.diagnosed import Diagnosed, diagnosed
from scaleaudit.report.html.drawing import Href, draw
from scaleaudit.report.html.plots import Plot, plots_of_probe
from scaleaudit.report.html.probed import outcome_table
from scaleaudit.report.html.text import drawn
from scaleaudit.report.proofs import fold
from scaleaudit.report.summaries import target_text


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a proof with its number; ``repeats`` says of a last one what is left out."""

    number: int
    step: ProofStep
    repeats: str = ""


@dataclass(frozen=True, slots=True)
class FixView:
    """A way out, and what a probe measured of it."""

    fix: Fix
    measured: Measured | None


@dataclass(frozen=True, slots=True)
class RelatedView:
    """Another place, and whether its line is still to be shown."""

    related: Related
    fresh: bool


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding with its place on the page.

    Attributes:
        same_proof: The anchor of a finding that has the same proof; empty where this one tells it.
    """

    anchor: str
    finding: Finding
    steps: tuple[Step, ...]
    fixes: tuple[FixView, ...]
    related: tuple[RelatedView, ...]
    same_proof: str = ""


@dataclass(frozen=True, slots=True)
class Derivation:
    """A proof that no finding tells, with what it proves."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class StateView:
    """A state with all that is said of it.

    Attributes:
        picture: Its loop, drawn; empty where there is no picture.
    """

    anchor: str
    state: StateFacts
    findings: tuple[FindingView, ...]
    derivations: tuple[Derivation, ...]
    picture: Markup


@dataclass(frozen=True, slots=True)
class LoopView:
    """A loop and its states."""

    loop: LoopFacts
    states: tuple[StateView, ...]


@dataclass(frozen=True, slots=True)
class ProbedView:
    """What a probe says of a state: its answer, a table, plots, what was measured untrained."""

    state: str
    loop: str
    probe: StateProbe | None
    table: Table | None
    plots: tuple[Plot, ...]
    diagnosed: Diagnosed | None


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target: its loops, the findings that are about no state of them, and its probe."""

    anchor: str
    title: str
    target: TargetReport
    loops: tuple[LoopView, ...]
    findings: tuple[FindingView, ...]
    probed: tuple[ProbedView, ...]

    @property
    def states(self) -> tuple[StateView, ...]:
        """All states, loop by loop."""
        return tuple(state for loop in self.loops for state in loop.states)

    @property
    def codes(self) -> tuple[tuple[str, int], ...]:
        """The codes of all findings, each with how often it is among them."""
        return tuple(Counter(finding.code for finding in self.target.findings).items())


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule that found something, and how often."""

    anchor: str
    code: str
    name: str
    count: int
    document: RuleDocument | None


def target_views(report: Report, href: Href) -> tuple[TargetView, ...]:
    """Arrange every target.

    Args:
        report: The report.
        href: Where on the page a source line is found.
    """
    return tuple(
        _Arranger(f"t{number}", target, href).view()
        for number, target in enumerate(report.targets, 1)
    )


def rule_views(report: Report) -> tuple[RuleView, ...]:
    """Arrange the rules that found something, by code."""
    documents = {rule.code: rule for rule in report.rules}
    found = [finding for target in report.targets for finding in target.findings]
    found += [each.finding for target in report.targets for each in target.suppressed]
    names = {finding.code: finding.name for finding in found}
    counts = {code: sum(finding.code == code for finding in found) for code in names}
    return tuple(
        RuleView(f"rule-{number}", code, names[code], counts[code], documents.get(code))
        for number, code in enumerate(sorted(names), 1)
    )


def steps_of(proof: tuple[ProofStep, ...]) -> Iterator[Step]:
    """Number a proof; what repeats is told once."""
    number = 0
    for run in fold(proof):
        first = number + 1
        for index, step in enumerate(run.steps):
            number += 1
            last = index == len(run.steps) - 1
            yield Step(number, step, _repeats(first, number, run.times) if last else "")
        number += len(run.steps) * (run.times - 1)


def _repeats(first: int, last: int, times: int) -> str:
    if times == 1:
        return ""
    which = f"Step {first} repeats" if first == last else f"Steps {first} to {last} repeat"
    return f"{which} {'once more' if times == 2 else f'{times - 1} more times'}."  # noqa: PLR2004


@dataclass(slots=True)
class _Arranger:
    """Arranges one target, and remembers which proofs were told."""

    anchor: str
    target: TargetReport
    href: Href
    told: dict[tuple[ProofStep, ...], str] = field(default_factory=dict)
    number: int = 0

    def view(self) -> TargetView:
        facts = self.target.facts
        found = tuple(
            self._finding(finding, None)
            for finding in self.target.findings
            if facts is None or place_of(finding, facts) is None
        )
        loops = tuple(self._loops(facts)) if facts else ()
        return TargetView(
            anchor=self.anchor,
            title=target_text(self.target),
            target=self.target,
            loops=loops,
            findings=found,
            probed=tuple(_probed(facts.probe, self.anchor)) if facts and facts.probe else (),
        )

    def _loops(self, facts: ScaleFacts) -> Iterator[LoopView]:
        """Arrange the loops; states of one name are probed in the order that they have here."""
        places = [place_of(finding, facts) for finding in self.target.findings]
        for i, loop in enumerate(facts.loops):
            states: list[StateView] = []
            for j, state in enumerate(loop.states):
                found = zip(self.target.findings, places, strict=True)
                about = [finding for finding, place in found if place == (i, j)]
                states.append(self._state(state, about, _index(facts, i, j)))
            yield LoopView(loop, tuple(states))

    def _state(self, state: StateFacts, about: list[Finding], index: int | None) -> StateView:
        self.number += 1
        found = tuple(self._finding(finding, index) for finding in about)
        return StateView(
            anchor=f"{self.anchor}-s{self.number}",
            state=state,
            findings=found,
            derivations=() if any(f.finding.proof for f in found) else _derivations(state),
            picture=drawn(draw(state.picture, self.href)) if state.picture else Markup(""),
        )

    def _finding(self, finding: Finding, index: int | None) -> FindingView:
        self.number += 1
        anchor = f"{self.anchor}-f{self.number}"
        same = self.told.setdefault(finding.proof, anchor) if finding.proof else anchor
        return FindingView(
            anchor=anchor,
            finding=finding,
            steps=tuple(steps_of(finding.proof)) if same == anchor else (),
            fixes=tuple(FixView(fix, self._measured(fix, index)) for fix in finding.fixes),
            related=tuple(_related(finding)),
            same_proof="" if same == anchor else same,
        )

    def _measured(self, fix: Fix, index: int | None) -> Measured | None:
        outcome = self.target.facts.probe if self.target.facts else None
        if outcome is None or index is None:
            return None
        return measured(fix.kind, outcome, index)


def _related(finding: Finding) -> Iterator[RelatedView]:
    shown = {finding.location, *(step.location for step in finding.proof)}
    lines = {(place.path, place.line) for place in shown if place is not None}
    for each in finding.related:
        yield RelatedView(each, (each.location.path, each.location.line) not in lines)


def _probed(found: ProbeOutcome, anchor: str) -> Iterator[ProbedView]:
    for index, each in enumerate(plots_of_probe(found, f"{anchor}-plot")):
        probe = found.states[index] if index < len(found.states) else None
        yield ProbedView(
            state=each.state,
            loop=each.loop,
            probe=probe,
            table=outcome_table(found, probe) if probe else None,
            plots=each.plots,
            diagnosed=diagnosed(found.diagnostics, index),
        )


def _index(facts: ScaleFacts, i: int, j: int) -> int | None:
    """Return the position of a state among those of a probe, which tells some of them in order."""
    if facts.probe is None:
        return None
    names = [(loop.name, state.name) for loop in facts.loops for state in loop.states]
    at = sum(len(loop.states) for loop in facts.loops[:i]) + j
    earlier = names[:at].count(names[at])
    probed = [(each.loop, each.state) for each in facts.probe.states]
    same = [index for index, name in enumerate(probed) if name == names[at]]
    # Where not all of one name were probed, it is not known which of them were.
    return same[earlier] if len(same) == names.count(names[at]) else None


def _derivations(state: StateFacts) -> tuple[Derivation, ...]:
    proofs = [("What a turn does to the length", state.transition_proof)]
    proofs += [(f"What the loss sees through {each.name}", each.proof) for each in state.readouts]
    proofs += [(f"What the penalty {each.name} restrains", each.proof) for each in state.penalties]
    return tuple(Derivation(title, tuple(steps_of(proof))) for title, proof in proofs if proof)
