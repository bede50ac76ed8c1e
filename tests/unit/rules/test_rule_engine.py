"""What the shipped rules say of hand-built facts, and which verdict follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_support import (
    BODY,
    FILE,
    FRONT,
    RULES,
    at,
    changed,
    codes,
    facts,
    judge,
    opaque,
    penalty,
    readout,
    state,
    step,
    write_page,
)

from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    PenaltyFlaw,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Confidence, Severity
from scaleaudit.domain.graph import Note, NoteKind
from scaleaudit.domain.report import Verdict
from scaleaudit.errors import TargetError
from scaleaudit.rules.engine import evaluate, not_audited
from scaleaudit.rules.loader import load_page
from scaleaudit.rules.wording import flaw, growth

KNOWN_FLAWS = [flaw.value for flaw in PenaltyFlaw if flaw is not PenaltyFlaw.UNKNOWN]
ACTIVE = ("carried", "expanding", "linear")
QUIET = ("removed", "bounded")


# Which rules fire


@pytest.mark.parametrize("transition", ACTIVE)
@pytest.mark.parametrize("visibility", ["invariant", "asymptotic"])
def test_active_and_blind_is_the_fault(transition: str, visibility: str) -> None:
    judged = judge(state(transition, visibility))
    assert "SCL101" in codes(judged)
    assert judged.verdict is Verdict.FAIL


@pytest.mark.parametrize("transition", [*QUIET, "damped"])
def test_a_blind_loss_is_harmless_where_length_is_removed_or_bounded(transition: str) -> None:
    judged = judge(state(transition, "invariant", writes_bounded=True))
    assert codes(judged) == []
    assert judged.verdict is Verdict.PASS


def test_a_loss_that_sees_the_length_silences_the_fault() -> None:
    assert judge(state("carried", "visible")).verdict is Verdict.PASS
    assert codes(judge(state("expanding", "visible"))) == ["SCL201"]


def test_an_effective_penalty_silences_the_fault() -> None:
    assert codes(judge(state(penalties=(penalty(),)))) == []
    assert codes(judge(state("carried", "saturating", penalties=(penalty(),)))) == []


def test_saturating_visibility_is_a_warning() -> None:
    judged = judge(state("carried", "saturating"))
    assert codes(judged) == ["SCL102"]
    assert judged.verdict is Verdict.WARN


def test_a_readout_outside_the_loss_does_not_help_and_is_named() -> None:
    gate = readout("saturating", supervised=False, name="halt", location=at(25))
    judged = judge(state(readouts=(readout(), gate)))
    assert codes(judged) == ["SCL101", "SCL103"]
    assert judged.findings[1].location == at(25)
    assert judged.findings[1].message.startswith("`halt` sees the length")


def test_a_normed_readout_outside_the_loss_is_no_matter() -> None:
    judged = judge(state(readouts=(readout(), readout(supervised=False))))
    assert codes(judged) == ["SCL101"]


@pytest.mark.parametrize("why", KNOWN_FLAWS)
def test_an_ineffective_penalty_is_an_error_on_a_blind_active_state(why: str) -> None:
    judged = judge(state(penalties=(penalty(why),)))
    assert codes(judged) == ["SCL101", "SCL104"]
    assert {finding.severity for finding in judged.findings} == {Severity.ERROR}
    assert judged.findings[1].location == at(40)


@pytest.mark.parametrize("why", KNOWN_FLAWS)
def test_an_ineffective_penalty_is_a_note_elsewhere(why: str) -> None:
    flawed = (penalty(why),)
    for harmless in (
        state("removed", "invariant", penalties=flawed),
        state("carried", "visible", penalties=flawed),
        state(penalties=(*flawed, penalty())),
        state(penalties=flawed, weighted_cycle=False),
    ):
        judged = judge(harmless)
        assert codes(judged) == ["SCL104"]
        assert judged.findings[0].severity is Severity.NOTE
        assert judged.verdict is Verdict.PASS


def test_a_linear_map_without_identity_path_is_named() -> None:
    assert codes(judge(state("linear", "visible"))) == ["SCL202"]


def test_a_free_factor_may_exceed_one() -> None:
    free = Gain(0.0, float("inf"), learned=True, location=at(21))
    judged = judge(state("linear", "visible", gain=free))
    assert codes(judged) == ["SCL204"]
    assert judged.findings[0].location == at(21)
    assert "[0, inf]" in judged.findings[0].message


@pytest.mark.parametrize(
    ("gain", "fires"),
    [
        (Gain(0.0, 1.0, low_open=True, high_open=True, learned=True), False),
        (Gain(0.0, 1.0, learned=True), True),
        (Gain(0.0, 0.9, learned=True), False),
        (Gain(-1.0, 0.5, learned=True), True),
        (Gain(-1.0, 0.5, low_open=True, learned=True), False),
        (Gain(0.0, 2.0, learned=False), False),
    ],
    ids=str,
)
def test_open_ends_of_a_learned_factor_are_never_reached(gain: Gain, *, fires: bool) -> None:
    found = codes(judge(state("damped", "visible", gain=gain)))
    assert found == (["SCL204"] if fires else [])


def test_a_linear_gain_held_below_one_is_not_active() -> None:
    held = Gain(0.0, 0.95, learned=True)
    assert "SCL101" not in codes(judge(state("linear", "invariant", gain=held)))
    exactly_one = Gain(0.0, 1.0, learned=True)
    assert "SCL101" in codes(judge(state("linear", "invariant", gain=exactly_one)))


def test_a_bypassed_norm_is_found_at_its_line() -> None:
    judged = judge(state("carried", "visible", bypassed_norm=at(23)))
    assert codes(judged) == ["SCL203"]
    assert judged.findings[0].location == at(23)


@pytest.mark.parametrize("transition", ["bounded", "damped", "removed"])
def test_a_skip_around_a_norm_does_nothing_to_a_state_that_cannot_grow(transition: str) -> None:
    assert codes(judge(state(transition, "visible", bypassed_norm=at(23)))) == []


def test_damped_and_blind_is_a_warning_unless_the_writes_are_bounded() -> None:
    gain = Gain(0.0, 1.0, low_open=True, high_open=True, learned=True)
    assert codes(judge(state("damped", "asymptotic", gain=gain))) == ["SCL205"]
    assert codes(judge(state("damped", "asymptotic", gain=gain, writes_bounded=True))) == []
    assert codes(judge(state("damped", "visible", gain=gain))) == []


def test_recurrence_without_weights_in_its_cycle_is_not_asked_of_drift() -> None:
    for transition in (*ACTIVE, "damped"):
        found = codes(judge(state(transition, "invariant", weighted_cycle=False)))
        assert not {"SCL101", "SCL102", "SCL103", "SCL205"} & set(found)


def test_a_state_that_reaches_no_loss_is_not_blamed_for_it() -> None:
    assert codes(judge(state(readouts=()))) == []


def test_a_state_read_through_another_takes_its_visibility() -> None:
    slow = state("carried", "invariant", name="slow")
    fast = state("carried", "invariant", name="fast", readouts=(), seen_through=("slow",))
    judged = judge(fast, slow)
    assert codes(judged) == ["SCL101", "SCL101"]
    first = next(found for found in judged.findings if "`fast`" in found.subject)
    assert [place.location for place in first.related] == [at(30), at(19)]
    assert any(proof.operator == "aten.rms_norm.default" for proof in first.proof)


def test_the_whole_state_counts_more_than_its_best_readout() -> None:
    """A raw readout of the first token leaves the others to the normed one."""
    first_token = readout("visible", coverage=0.125)
    judged = judge(state("carried", "invariant", readouts=(first_token, readout())))
    assert "SCL101" in codes(judged)
    assert "invariant" in judged.findings[0].message


def test_a_missing_loss_is_noted_where_there_is_a_loop() -> None:
    judged = evaluate(RULES, FILE, "t", facts(state("carried", "visible"), loss_found=False))
    assert codes(judged) == ["SCL903"]
    assert (judged.verdict, judged.findings[0].location) == (Verdict.PASS, at(1))
    nothing = ScaleFacts((), Coverage(10), loss_found=False)
    assert codes(evaluate(RULES, FILE, "t", nothing)) == []


def test_a_target_without_loops_passes() -> None:
    judged = evaluate(RULES, FILE, "t", ScaleFacts((), Coverage(10), loss_found=True))
    assert (judged.findings, judged.verdict, judged.undecided) == ((), Verdict.PASS, ())


# What is not known


def test_an_unknown_transition_of_a_blind_state_leaves_the_verdict_open() -> None:
    judged = judge(state("unknown", "invariant", opaque=(opaque(),)))
    assert judged.verdict is Verdict.UNKNOWN
    assert codes(judged) == ["SCL902"]
    (sentence,) = judged.undecided
    assert "`h`" in sentence
    assert "my.kernel.default" in sentence
    assert "model.py:50" in sentence
    assert judged.findings[0].location == at(50)
    assert judged.findings[0].confidence is Confidence.UNKNOWN


def test_an_unknown_readout_of_an_active_state_leaves_the_verdict_open() -> None:
    unread = readout("unknown", degree=None, opaque=(opaque(60),))
    judged = judge(state("carried", "unknown", readouts=(unread,)))
    assert judged.verdict is Verdict.UNKNOWN
    assert codes(judged) == ["SCL902"]
    assert "model.py:60" in judged.undecided[0]


def test_an_unknown_that_decides_nothing_is_not_reported() -> None:
    for harmless in (
        state("unknown", "visible", opaque=(opaque(),)),
        state("removed", "unknown", readouts=(readout("unknown", opaque=(opaque(),)),)),
        state("unknown", "invariant", opaque=(opaque(),), penalties=(penalty(),)),
    ):
        judged = judge(harmless)
        assert codes(judged) == []
        assert judged.verdict is Verdict.PASS


def test_an_error_outranks_what_is_not_known() -> None:
    judged = judge(state(), state("unknown", "invariant", name="g", opaque=(opaque(),)))
    assert judged.verdict is Verdict.FAIL
    assert len(judged.undecided) == 1


def test_what_is_not_known_outranks_a_warning() -> None:
    judged = judge(
        state("carried", "saturating"),
        state("unknown", "invariant", name="g", opaque=(opaque(),)),
    )
    assert "SCL102" in codes(judged)
    assert judged.verdict is Verdict.UNKNOWN


def test_a_penalty_of_unknown_sign_is_never_taken_for_safe() -> None:
    doubtful = penalty("unknown sign or operator")
    judged = judge(state(penalties=(doubtful,)))
    assert judged.verdict is Verdict.UNKNOWN
    assert codes(judged) == []
    assert "penalty `mean` at model.py:40" in judged.undecided[0]
    assert judge(state("removed", penalties=(doubtful,))).verdict is Verdict.PASS
    assert judge(state(penalties=(doubtful, penalty()))).verdict is Verdict.PASS


def test_one_operator_is_reported_once_for_all_states_that_hang_on_it() -> None:
    judged = judge(
        state("unknown", name="g", opaque=(opaque(),)),
        state("unknown", name="h", opaque=(opaque(),)),
    )
    assert codes(judged) == ["SCL902"]
    assert len(judged.undecided) == 2


def test_an_operator_found_first_where_it_decides_nothing_is_still_reported() -> None:
    judged = judge(
        state("unknown", "visible", name="g", opaque=(opaque(),)),
        state("unknown", name="h", opaque=(opaque(),)),
    )
    assert codes(judged) == ["SCL902"]
    assert "`h`" in judged.findings[0].message


def test_an_unknown_state_without_a_culprit_still_has_a_sentence() -> None:
    judged = judge(state("unknown", "invariant"))
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.undecided == (
        "state `h` of loop `Model.forward`: what a turn does to its length is not known",
    )


def test_an_error_rule_of_a_team_can_leave_the_verdict_open(tmp_path: Path) -> None:
    front = changed(FRONT, "severity: warning", "severity: error")
    front = changed(front, "state.active && state.blind", "state.branch_degree > 2.0")
    rule = load_page(write_page(tmp_path, front, BODY))
    judged = judge(state(branch_degree=None), rules=(rule,))
    assert judged.verdict is Verdict.UNKNOWN
    assert "ACME101" in judged.undecided[0]
    assert "state.branch_degree" in judged.undecided[0]


# What a finding carries


def test_a_finding_carries_its_evidence() -> None:
    found = judge(state()).findings[0]
    assert (found.code, found.name, found.location) == ("SCL101", "blind-recurrent-scale", at(20))
    assert found.subject == "state `h` of loop `Model.forward`"
    assert [step.operator for step in found.proof] == ["aten.add.Tensor", "aten.rms_norm.default"]
    assert [place.location for place in found.related] == [at(30), at(19)]
    assert len(found.fixes) == 3
    assert all(fix.text and fix.code for fix in found.fixes)
    assert "gain [1, 1]" in found.message
    assert "degree 0" in found.message


def test_the_message_says_whether_readouts_are_invariant_or_fading() -> None:
    assert "invariant to its length up to a norm's eps" in judge(state()).findings[0].message
    assert "fading in its length" in judge(state("carried", "asymptotic")).findings[0].message


def test_the_most_convincing_readout_gives_the_proof() -> None:
    partial = readout(coverage=0.5, proof=(step(31, "partial"),))
    whole = readout(proof=(step(32, "whole"),))
    bare = readout(proof=())
    found = judge(state(readouts=(bare, partial, whole))).findings[0]
    assert [each.operator for each in found.proof] == ["aten.add.Tensor", "whole"]


def test_exact_facts_are_proven_and_limits_are_likely() -> None:
    assert judge(state()).findings[0].confidence is Confidence.PROVEN
    assert judge(state("carried", "asymptotic")).findings[0].confidence is Confidence.LIKELY
    doubtful = state(readouts=(readout(), readout("unknown")))
    assert judge(doubtful).findings[0].confidence is Confidence.LIKELY
    unlocated = state(readouts=(readout(coverage=None),))
    assert judge(unlocated).findings[0].confidence is Confidence.LIKELY


def test_a_guessed_branch_or_loss_makes_findings_likely() -> None:
    guess = Note(NoteKind.ORACLE, "a branch was guessed")
    judged = evaluate(RULES, FILE, "t", facts(state(), notes=(guess,)))
    assert judged.findings[0].confidence is Confidence.LIKELY
    judged = evaluate(RULES, FILE, "t", facts(state(), loss_found=False))
    assert judged.findings[0].confidence is Confidence.LIKELY


def test_findings_stand_in_the_order_of_severity_code_and_place() -> None:
    judged = judge(
        state("expanding", "invariant", name="late", location=at(90), branch_location=at(91)),
        state("expanding", "invariant", name="early", location=at(10), branch_location=at(11)),
        state("removed", penalties=(penalty("zero weight"),)),
    )
    assert [(found.code, found.location) for found in judged.findings] == [
        ("SCL101", at(10)),
        ("SCL101", at(90)),
        ("SCL201", at(11)),
        ("SCL201", at(91)),
        ("SCL104", at(40)),
    ]


def test_a_page_without_a_location_at_hand_falls_back() -> None:
    judged = judge(state("expanding", "visible", branch_location=None))
    assert judged.findings[0].location == at(20)


def test_a_failed_target_is_an_error_with_its_hint_as_the_fix() -> None:
    hint = "give them:\n\n    Looped(Config())"
    error = TargetError("Looped() needs arguments", where="other.py:7", hint=hint)
    (found,) = not_audited(RULES, FILE, "scaleaudit_target", error)
    assert (found.code, found.severity) == ("SCL901", Severity.ERROR)
    assert str(found.location) == "other.py:7"
    assert f"{FILE}::scaleaudit_target" in found.message
    assert "Looped() needs arguments" in found.message
    assert [(fix.text, fix.code) for fix in found.fixes] == [("Give them:", "Looped(Config())")]


def test_a_failed_target_without_a_line_or_a_hint_has_the_fixes_of_the_page() -> None:
    (found,) = not_audited(RULES, FILE, "", TargetError("no such file", where=FILE))
    assert found.location is None
    assert found.message.startswith(f"{FILE} was not audited")
    assert found.fixes


# Fingerprints


def prints(*states: StateFacts) -> list[str]:
    return [found.fingerprint for found in judge(*states).findings]


def test_fingerprints_survive_moved_lines_and_new_names() -> None:
    moved = state(
        name="x",
        location=at(77),
        readouts=(readout(name="out", location=at(80), proof=(step(9, "aten.rms_norm.default"),)),),
        transition_proof=(step(77, "aten.add.Tensor", 1.0), step(8, "aten.add.Tensor", 1.0)),
    )
    original = state(
        readouts=(readout(proof=(step(30, "aten.rms_norm.default"),)),),
        transition_proof=(step(20, "aten.add.Tensor", 1.0), step(21, "aten.add.Tensor", 1.0)),
    )
    assert prints(moved) == prints(original)


@pytest.mark.parametrize(
    "change",
    [
        lambda given: replace(given, transition=Transition.LINEAR),
        lambda given: replace(given, visibility=Visibility.ASYMPTOTIC),
        lambda given: replace(given, gain=Gain(1.0, 1.25)),
    ],
)
def test_fingerprints_change_with_the_fault(change: Callable[[StateFacts], StateFacts]) -> None:
    assert prints(change(state()))[0] != prints(state())[0]


def test_what_the_loss_sees_is_no_part_of_a_fault_of_the_gain() -> None:
    given = state(gain=Gain(0.0, 1.0, learned=True))
    bound = {found.code: found.fingerprint for found in judge(given).findings}
    wider = replace(given, visibility=Visibility.VISIBLE, readouts=(readout("visible"),))
    seen = {found.code: found.fingerprint for found in judge(wider).findings}
    assert "SCL101" not in seen
    assert seen["SCL204"] == bound["SCL204"]


def test_fingerprints_are_the_same_at_any_depth() -> None:
    deep = facts(state(readouts=(readout(turns=(1, 2, 3, 4)), readout(turns=(4,)))))
    deep = replace(deep, loops=(replace(deep.loops[0], turns=64),))
    found = evaluate(RULES, FILE, "scaleaudit_target", deep).findings
    assert [each.fingerprint for each in found] == prints(state())


def test_the_operators_of_a_proof_are_no_part_of_a_fingerprint() -> None:
    other = state(transition_proof=(step(20, "aten.add_.Tensor"), step(21, "aten.mul.Tensor")))
    assert prints(other) == prints(state())


def test_a_penalty_that_is_undone_otherwise_is_another_fault() -> None:
    detached, free = (state(penalties=(penalty(flaw),)) for flaw in ("detached", "scale-free"))
    by_code = [{f.code: f.fingerprint for f in judge(each).findings} for each in (detached, free)]
    assert by_code[0]["SCL104"] != by_code[1]["SCL104"]
    assert by_code[0]["SCL101"] == by_code[1]["SCL101"]


# Properties over all states


def states() -> st.SearchStrategy[StateFacts]:
    ends = st.sampled_from((-2.0, -1.0, 0.0, 0.5, 1.0, 2.0))
    gains = st.builds(
        lambda a, b, low, high, learned: Gain(min(a, b), max(a, b), low, high, learned),
        *(ends, ends, st.booleans(), st.booleans(), st.booleans()),
    )
    readouts = st.builds(
        lambda visibility, supervised: readout(visibility.value, supervised=supervised),
        *(st.sampled_from(Visibility), st.booleans()),
    )
    penalties = st.sampled_from((None, *PenaltyFlaw)).map(
        lambda flaw: penalty(None if flaw is None else flaw.value)
    )
    return st.builds(
        lambda transition, visibility, **changes: state(
            transition.value, visibility.value, **changes
        ),
        st.sampled_from(Transition),
        st.sampled_from(Visibility),
        readouts=st.lists(readouts, max_size=3).map(tuple),
        penalties=st.lists(penalties, max_size=2).map(tuple),
        gain=st.none() | gains,
        writes_bounded=st.booleans(),
        weighted_cycle=st.booleans(),
        opaque=st.sampled_from(((), (opaque(),))),
        seen_through=st.sampled_from(((), ("other",))),
    )


@settings(deadline=None)
@given(st.lists(states(), max_size=3))
def test_every_evaluation_is_whole_and_repeatable(many: list[StateFacts]) -> None:
    judged = judge(*many)
    assert judged == judge(*many)
    severities = {found.severity for found in judged.findings}
    if Severity.ERROR in severities:
        assert judged.verdict is Verdict.FAIL
    elif judged.undecided:
        assert judged.verdict is Verdict.UNKNOWN
    else:
        warned = Severity.WARNING in severities
        assert judged.verdict is (Verdict.WARN if warned else Verdict.PASS)
    assert all("{" not in found.message for found in judged.findings)


def refinements(given_state: StateFacts) -> Iterator[StateFacts]:
    """All that a state may turn out to be when what is not known of it is."""
    transitions = tuple(Transition)
    visibilities = tuple(Visibility)
    if given_state.transition is not Transition.UNKNOWN:
        transitions = (given_state.transition,)
    if given_state.visibility is not Visibility.UNKNOWN:
        visibilities = (given_state.visibility,)
    for transition in transitions:
        for visibility in visibilities:
            for why in (None, *PenaltyFlaw):
                penalties = tuple(
                    replace(each, flaw=why) if each.flaw is PenaltyFlaw.UNKNOWN else each
                    for each in given_state.penalties
                )
                yield replace(
                    given_state,
                    transition=transition,
                    visibility=visibility,
                    penalties=penalties,
                )


@settings(deadline=None)
@given(st.data())
def test_a_verdict_short_of_unknown_holds_whatever_the_unknown_turns_out_to_be(
    data: st.DataObject,
) -> None:
    given_state = data.draw(states())
    known = data.draw(st.sampled_from(list(refinements(given_state))))
    if judge(given_state).verdict in (Verdict.PASS, Verdict.WARN):
        assert judge(known).verdict is not Verdict.FAIL


def test_loops_without_states_pass() -> None:
    loop = LoopFacts("Model.forward", 2, at(1), ())
    judged = evaluate(RULES, FILE, "t", ScaleFacts((loop,), Coverage(3), loss_found=True))
    assert judged.verdict is Verdict.PASS


@pytest.mark.parametrize("each", PenaltyFlaw)
def test_every_flaw_has_words(each: PenaltyFlaw) -> None:
    assert flaw(penalty(each.value))


@pytest.mark.parametrize("each", Transition)
def test_every_transition_has_words(each: Transition) -> None:
    assert growth(state(each.value))


def test_the_operators_that_a_verdict_hangs_on_are_named() -> None:
    deciding, idle = opaque(70, "my.decider.default"), opaque(71, "my.idler.default")
    judged = judge(
        state("unknown", "invariant", opaque=(deciding,)),
        state("unknown", "visible", name="g", opaque=(idle,)),
    )
    assert judged.deciding == (deciding,)


def test_an_operator_that_hides_what_a_penalty_does_decides() -> None:
    hidden = replace(penalty("unknown sign or operator"), opaque=(opaque(72),))
    judged = judge(state("carried", "invariant", penalties=(hidden,)))
    assert judged.deciding == (opaque(72),)
    assert "SCL902" in codes(judged)
