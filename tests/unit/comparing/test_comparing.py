"""What changed between two reports, said of hand-built facts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.comparing.comparing import compare
from scaleaudit.comparing.matching import pair
from scaleaudit.domain.comparison import Effect, FindingStatus
from scaleaudit.domain.facts import (
    Certification,
    Coverage,
    Gain,
    LoopFacts,
    Opaque,
    Outcome,
    Penalty,
    PenaltyFlaw,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Confidence, Finding, Severity, Suppressed, SuppressionKind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, RuleDocument, TargetReport, Verdict

READOUT = Readout("logits", Visibility.VISIBLE, 1.0, True, (4,), Location("m.py", 9))
STATE = StateFacts(
    "h", (2, 8), "float32", Location("m.py", 5), Transition.DAMPED, Visibility.VISIBLE, (READOUT,),
    gain=Gain(0.0, 0.9), branch_degree=0.0,
)  # fmt: skip
LOOP = LoopFacts("M.forward", 4, Location("m.py", 4), (STATE,))
FACTS = ScaleFacts((LOOP,), Coverage(10), loss_found=True)
FINDING = Finding(
    "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "it is blind", Location("m.py", 5),
    subject="state `h` of loop `M.forward`", fingerprint="aa",
)  # fmt: skip


def _target(*states: StateFacts, **changes: object) -> TargetReport:
    facts = replace(FACTS, loops=(replace(LOOP, states=states or (STATE,)),))
    return replace(TargetReport("m.py", "M", Verdict.PASS, facts, ()), **changes)


def _report(*targets: TargetReport) -> Report:
    return Report("0.1.0", "2.13.0", targets)


def _changes(before: TargetReport, after: TargetReport):
    (target,) = compare(_report(before), _report(after), ("a", "b")).targets
    return target


def _said(before: StateFacts, after: StateFacts) -> dict[str, Effect]:
    return {
        change.text: change.effect for change in _changes(_target(before), _target(after)).facts
    }


def test_nothing_is_said_of_what_did_not_change():
    assert not _changes(_target(), _target()).changed


def test_a_moved_line_is_no_change():
    moved = replace(STATE, location=Location("m.py", 99))
    assert _said(STATE, moved) == {}


def test_a_readout_that_became_blind_is_said_so():
    blind = replace(READOUT, visibility=Visibility.INVARIANT, degree=0.0)
    after = replace(STATE, visibility=Visibility.INVARIANT, readouts=(blind,))
    assert _said(STATE, after) == {
        "This change made the readout `logits` of state `h` blind: it was visible (degree 1) and is "
        "invariant (degree 0).": Effect.WORSE,
        "Nothing in the loss sees the length of state `h` any more.": Effect.WORSE,
    }
    assert set(_said(after, STATE).values()) == {Effect.BETTER}


def test_the_upper_bound_of_a_gain_is_given_before_and_after():
    assert _said(STATE, replace(STATE, gain=Gain(0.0, 1.2))) == {
        "The upper bound of the gain of state `h` went from 0.9 to 1.2, so it can reach 1.": Effect.WORSE
    }
    assert _said(replace(STATE, gain=Gain(0.0, 1.2)), STATE) == {
        "The upper bound of the gain of state `h` went from 1.2 to 0.9, so it stays below 1.": Effect.BETTER
    }


def test_an_end_that_is_reached_now_is_said_so():
    before = replace(STATE, gain=Gain(0.0, 1.0, high_open=True))
    after = replace(STATE, gain=Gain(0.0, 1.0))
    assert _said(before, after) == {
        "The upper bound 1 of the gain of state `h` can be reached now.": Effect.WORSE
    }


def test_bounds_without_limit_are_equal_to_themselves():
    free = replace(STATE, gain=Gain(-math.inf, math.inf))
    assert _said(free, free) == {}
    assert "went from 0.9 to inf" in next(iter(_said(STATE, free)))


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ({"transition": Transition.CARRIED}, Effect.WORSE),
        ({"transition": Transition.REMOVED}, Effect.BETTER),
        ({"transition": Transition.UNKNOWN}, Effect.WORSE),
        ({"branch_degree": 1.0}, Effect.WORSE),
        ({"branch_degree": None}, Effect.NEUTRAL),
        ({"writes_bounded": True}, Effect.BETTER),
        ({"bypassed_norm": Location("m.py", 7)}, Effect.WORSE),
        ({"dtype": "bfloat16"}, Effect.NEUTRAL),
        ({"shape": (2, 16)}, Effect.NEUTRAL),
        ({"gain": None}, Effect.NEUTRAL),
        ({"gain": Gain(-1.0, 0.9)}, Effect.NEUTRAL),
        ({"gain": Gain(0.0, 0.9, learned=True)}, Effect.NEUTRAL),
        ({"penalties": (Penalty("p", 2.0, None),)}, Effect.BETTER),
        ({"penalties": (Penalty("p", 2.0, None, PenaltyFlaw.DETACHED),)}, Effect.NEUTRAL),
        ({"readouts": (replace(READOUT, coverage=0.5),)}, Effect.NEUTRAL),
        ({"readouts": (replace(READOUT, supervised=False),)}, Effect.NEUTRAL),
        ({"readouts": (READOUT, replace(READOUT, name="exit"))}, Effect.NEUTRAL),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.value,
)
def test_a_fact_that_changed_is_one_sentence(change, effect):
    """One fact changes at a time; the way back is said as well, and goes the other way."""
    after = replace(STATE, **change)
    ((text, found),) = _said(STATE, after).items()
    assert text.endswith(".")
    assert found is effect
    ((_, back),) = _said(after, STATE).items()
    if Transition.UNKNOWN not in change.values():
        turned = {Effect.WORSE: Effect.BETTER, Effect.BETTER: Effect.WORSE}
        assert back is turned.get(effect, Effect.NEUTRAL)


def test_a_penalty_that_lost_its_gradient_is_worse():
    held = replace(STATE, penalties=(Penalty("p", 2.0, None),))
    cut = replace(STATE, penalties=(Penalty("p", 2.0, None, PenaltyFlaw.DETACHED),))
    assert _said(held, cut) == {
        "The penalty `p` does not restrain state `h`: detached.": Effect.WORSE
    }


def test_a_renamed_state_is_the_same_state():
    said = _said(STATE, replace(STATE, name="x"))
    assert list(said) == ["State `h` is called `x` now."]


def test_states_and_loops_that_came_and_went_are_named():
    more = replace(STATE, name="c", shape=(2, 8, 3))
    assert "A state `c` of loop `M.forward` was added" in next(
        iter(change.text for change in _changes(_target(), _target(STATE, more)).facts)
    )
    other = replace(LOOP, name="M.refine", states=(STATE, more, more))
    with_both = _target(facts=replace(FACTS, loops=(LOOP, other)))
    (change,) = _changes(_target(), with_both).facts
    assert change.text == "A loop `M.refine` was added (states: `h`, `c`, `c`)."
    (change,) = _changes(with_both, _target()).facts
    assert change.text == "The loop `M.refine` is gone (states: `h`, `c`, `c`)."


def test_more_turns_are_said():
    deeper = _target(facts=replace(FACTS, loops=(replace(LOOP, turns=8),)))
    (change,) = _changes(_target(), deeper).facts
    assert change.text == "Loop `M.forward` goes from 4 turns to 8."


def test_operators_certification_and_the_loss_are_compared():
    opaque = Opaque("lib.scan", Location("m.py", 3), "no law")
    before = replace(FACTS, certification=Certification(Outcome.CERTIFIED))
    coverage = replace(FACTS.coverage, unknown=(opaque,), deciding=(opaque,))
    after = replace(
        FACTS, coverage=coverage, loss_found=False, certification=Certification(Outcome.REFUTED)
    )
    changes = _changes(_target(facts=before), _target(facts=after)).facts
    assert [change.text for change in changes] == [
        "No loss is found any more.",
        "Operator lib.scan is not understood: no law.",
        "Certification went from certified to refuted.",
    ]


def test_what_can_no_longer_be_audited_is_said():
    (change,) = _changes(_target(), _target(facts=None)).facts
    assert (change.text, change.effect) == ("It can no longer be audited.", Effect.WORSE)


# Findings


def _statuses(before: TargetReport, after: TargetReport) -> list[FindingStatus]:
    return [change.status for change in _changes(before, after).findings]


def test_findings_come_and_go():
    assert _statuses(_target(), _target(findings=(FINDING,))) == [FindingStatus.NEW]
    assert _statuses(_target(findings=(FINDING,)), _target()) == [FindingStatus.FIXED]


def test_a_finding_on_another_line_is_the_same():
    moved = replace(FINDING, location=Location("m.py", 50))
    assert _statuses(_target(findings=(FINDING,)), _target(findings=(moved,))) == []


def test_a_finding_of_a_renamed_state_is_the_same_fault():
    renamed = replace(FINDING, subject="state `x` of loop `M.forward`", fingerprint="bb")
    before, after = _target(findings=(FINDING,)), _target(replace(STATE, name="x"))
    (change,) = _changes(before, replace(after, findings=(renamed,))).findings
    assert change.status is FindingStatus.CHANGED
    assert change.before == FINDING


def test_a_finding_of_another_severity_changed():
    note = replace(FINDING, severity=Severity.NOTE)
    assert _statuses(_target(findings=(note,)), _target(findings=(FINDING,))) == [
        FindingStatus.CHANGED
    ]


def test_what_is_accepted_is_told_apart():
    accepted = _target(suppressed=(Suppressed(FINDING, SuppressionKind.COMMENT),))
    found = _target(findings=(FINDING,))
    assert _statuses(found, accepted) == [FindingStatus.ACCEPTED]
    assert _statuses(accepted, found) == [FindingStatus.NO_LONGER_ACCEPTED]
    assert _statuses(accepted, accepted) == []
    assert _statuses(_target(), accepted) == []


def test_two_findings_with_one_fingerprint_are_told_apart_by_their_subject():
    other = replace(FINDING, subject="state `c` of loop `M.forward`")
    (change,) = _changes(_target(findings=(FINDING, other)), _target(findings=(other,))).findings
    assert (change.status, change.finding) == (FindingStatus.FIXED, FINDING)


# Targets


def test_a_renamed_file_is_the_same_target():
    comparison = compare(_report(_target()), _report(_target(path="n.py")), ("a", "b"))
    (target,) = comparison.targets
    assert (target.path, target.before, target.after) == ("n.py", Verdict.PASS, Verdict.PASS)


def test_targets_that_came_and_went_have_one_verdict():
    other = _target(path="o.py", name="O", verdict=Verdict.FAIL)
    third = _target(path="p.py", name="P")
    before, after = _report(_target()), _report(_target(), other, third)
    targets = compare(before, after, ("a", "b")).targets
    assert [(t.before, t.after) for t in targets] == [
        (Verdict.PASS, Verdict.PASS),
        (None, Verdict.FAIL),
        (None, Verdict.PASS),
    ]
    assert compare(after, before, ("a", "b")).targets[1].after is None


def test_other_rules_and_versions_are_noted():
    rule = RuleDocument("SCL101", "n", "s", Severity.ERROR, "stable", "0.1.0", "")
    before = replace(_report(), rules=(rule,))
    after = replace(_report(), version="0.2.0", rules=(replace(rule, code="SCL999"),))
    assert compare(before, after, ("a", "b")).notes == (
        "Version 0.1.0 of scaleaudit judged the first, 0.2.0 the second.",
        "Only the first was held against SCL101.",
        "Only the second was held against SCL999.",
    )


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_pairing_loses_nothing_and_pairs_all_that_is_equal(before, after):
    pairs = pair(before, after, (lambda x: x,))
    assert sorted(old for old, _ in pairs if old is not None) == sorted(before)
    assert [new for _, new in pairs if new is not None] == after
    alone = {old for old, new in pairs if new is None} & {new for old, new in pairs if old is None}
    assert not alone
