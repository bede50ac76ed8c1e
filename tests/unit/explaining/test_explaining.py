"""Which finding is meant, and what is said would become of it, held against the rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaleaudit.domain.explanation import WhatIf
from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    Opaque,
    Penalty,
    PenaltyFlaw,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import (
    Confidence,
    Finding,
    Related,
    Severity,
    Suppressed,
    SuppressionKind,
)
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.errors import ConfigError
from scaleaudit.explaining.explaining import explain
from scaleaudit.explaining.lookup import find, read_question
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

PLACE = Location("m.py", 5, 9, 7, 20)
READOUT = Readout("logits", Visibility.INVARIANT, 0.0, True, (4,), Location("m.py", 9))
STATE = StateFacts(
    "h", (2, 8), "float32", PLACE, Transition.CARRIED, Visibility.INVARIANT, (READOUT,),
    gain=Gain(1.0, 1.0), branch_degree=0.0,
)  # fmt: skip
FINDING = Finding(
    "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "it is blind", PLACE,
    subject="state `h` of loop `M.forward`", fingerprint="aabbcc-01",
    related=(Related(Location("m.py", 9), "here"),), anchors=(Location("m.py", 2),),
)  # fmt: skip
OTHER = replace(FINDING, code="SCL301", fingerprint="aabbdd-02")


def _facts(state: StateFacts) -> ScaleFacts:
    loop = LoopFacts("M.forward", 4, Location("m.py", 4), (state,))
    return ScaleFacts((loop,), Coverage(10), loss_found=True)


def _report(*findings: Finding, **changes: object) -> Report:
    target = TargetReport("m.py", "M", Verdict.FAIL, _facts(STATE), findings)
    return Report("0.1.0", "2.13.0", (replace(target, **changes),))


def _found(report: Report, text: str, code: str = "") -> list[Finding]:
    return [match.finding for match in find(report, read_question(text, code))]


# Which one


@pytest.mark.parametrize(
    "text", ["m.py:5", "./m.py:5", "m.py:5:9", "m.py:6", "m.py:9", "m.py:2", "aabbcc", "AABBCC-01"]
)
def test_a_finding_is_named_by_a_line_or_by_its_fingerprint(text):
    assert _found(_report(FINDING), text) == [FINDING]


def test_the_line_where_a_finding_starts_comes_before_one_that_it_mentions():
    far = replace(FINDING, location=Location("m.py", 9), fingerprint="ffff", related=())
    assert _found(_report(FINDING, far), "m.py:9") == [far]


def test_a_finding_that_is_accepted_is_found_with_how():
    report = _report(suppressed=(Suppressed(FINDING, SuppressionKind.COMMENT, "known"),))
    (match,) = find(report, read_question("m.py:5"))
    assert match.accepted.reason == "known"


def test_a_finding_of_no_line_is_found_at_the_head_of_its_file():
    nowhere = replace(FINDING, location=None)
    assert _found(_report(nowhere), "m.py:1") == [nowhere]


@pytest.mark.parametrize("text", ["m.py:40", "n.py:5", "aabbcc-02", "dddd"])
def test_what_nothing_answers_to_is_refused_with_what_there_is(text):
    with pytest.raises(ConfigError, match=f"no finding answers to {text}") as error:
        _found(_report(FINDING), text)
    assert "m.py:5 SCL101 (aabbcc-01) of state `h`" in error.value.hint


def test_where_nothing_was_found_that_is_said():
    with pytest.raises(ConfigError) as error:
        _found(_report(), "m.py:5")
    assert error.value.hint == "Nothing was found at all."


@pytest.mark.parametrize("text", ["m.py:5", "aabb"])
def test_what_several_findings_answer_to_is_refused_unless_a_code_tells_them_apart(text):
    report = _report(FINDING, OTHER)
    with pytest.raises(ConfigError, match=f"2 findings answer to {text}") as error:
        _found(report, text)
    assert "aabbcc-01" in error.value.hint
    assert "aabbdd-02" in error.value.hint
    assert _found(report, text, "scl301") == [OTHER]


def test_findings_of_one_line_are_told_apart_by_their_state():
    other = replace(FINDING, subject="state `c` of loop `M.forward`")
    report = _report(FINDING, other)
    with pytest.raises(ConfigError, match=r"2 findings answer to m\.py:5"):
        _found(report, "m.py:5")
    (match,) = find(report, read_question("m.py:5", state="c"))
    assert match.finding == other


def test_the_very_same_finding_of_two_targets_is_one():
    (target,) = _report(FINDING).targets
    both = Report("0.1.0", "2.13.0", (target, replace(target, name="N")))
    matches = find(both, read_question("m.py:5"))
    assert explain(matches, lambda _: ((), Verdict.PASS), None).also == ("m.py::N",)


@pytest.mark.parametrize("text", ["", "m.py", "m.py:", "abc", "m.py:x", ":3", "xyzxyz"])
def test_what_names_no_finding_is_refused(text):
    with pytest.raises(ConfigError, match="is neither a fingerprint nor a line of a file"):
        read_question(text)


# What if


@pytest.fixture(scope="module")
def rules():
    return load_rules()


@pytest.fixture
def what_ifs(rules):
    def ask(code: str, state: StateFacts) -> dict[str, WhatIf]:
        facts = _facts(state)
        judged = evaluate(rules, "m.py", "M", facts)
        (finding,) = (found for found in judged.findings if found.code == code)
        target = TargetReport("m.py", "M", judged.verdict, facts, judged.findings)
        matches = find(Report("0.1.0", "2.13.0", (target,)), read_question("m.py:5", code))

        def judge(changed: ScaleFacts) -> tuple[tuple[Finding, ...], Verdict]:
            after = evaluate(rules, "m.py", "M", changed)
            return after.findings, after.verdict

        explanation = explain(matches, judge, None)
        assert explanation.match.finding == finding
        return {_first_word(each.text): each for each in explanation.what_ifs}

    return ask


def _first_word(text: str) -> str:
    return text.split(maxsplit=1)[0]


def test_every_cure_of_a_blind_state_is_said_to_cure_it(what_ifs):
    found = what_ifs("SCL101", STATE)
    norm, penalty, raw = found["Normalising"], found["Adding"], found["Reading"]
    assert (norm.silences, norm.verdict) == (True, Verdict.PASS)
    assert "transition: carried -> removed" in norm.facts
    assert (penalty.silences, penalty.verdict) == (True, Verdict.PASS)
    assert penalty.facts == ("penalties that restrain it: 0 -> 1",)
    assert (raw.silences, raw.verdict) == (True, Verdict.PASS)
    assert raw.facts == ("visibility: invariant -> visible",)


def test_what_cures_in_part_says_what_is_left(what_ifs):
    damped = what_ifs("SCL101", STATE)["Keeping"]
    assert (damped.silences, damped.verdict, damped.others) == (True, Verdict.WARN, ("SCL205",))


def test_what_does_not_help_is_said_not_to(what_ifs):
    bounded = what_ifs("SCL101", STATE)["Bounding"]
    assert (bounded.silences, bounded.verdict) == (False, Verdict.FAIL)


def test_bounded_writes_cure_a_damped_state(what_ifs):
    damped = replace(STATE, transition=Transition.DAMPED, gain=Gain(0.0, 1.0, high_open=True))
    assert what_ifs("SCL205", damped)["Bounding"].silences


def test_a_normed_branch_cures_an_expanding_state_of_that_alone(what_ifs):
    expanding = replace(STATE, transition=Transition.EXPANDING, branch_degree=1.0)
    branch = what_ifs("SCL201", expanding)["Letting"]
    assert branch.silences
    assert "transition: expanding -> carried" in branch.facts
    assert branch.others == ("SCL101",)
    assert not what_ifs("SCL201", expanding)["Adding"].silences


def test_bounded_writes_flatten_an_expanding_branch(what_ifs):
    expanding = replace(STATE, transition=Transition.EXPANDING, branch_degree=1.0)
    bounded = what_ifs("SCL201", expanding)["Bounding"]
    assert (bounded.silences, bounded.others) == (True, ("SCL101",))
    assert "transition: expanding -> carried" in bounded.facts


def test_bounded_writes_bound_a_state_that_is_nothing_else(what_ifs):
    linear = replace(STATE, transition=Transition.LINEAR, gain=None, branch_degree=1.0)
    bounded = what_ifs("SCL202", linear)["Bounding"]
    assert (bounded.silences, bounded.verdict) == (True, Verdict.PASS)
    assert "transition: linear -> bounded" in bounded.facts


def test_a_branch_cannot_cure_a_gain_above_one(what_ifs):
    growing = replace(
        STATE, transition=Transition.EXPANDING, branch_degree=1.0, gain=Gain(2.0, 2.0)
    )
    assert not what_ifs("SCL201", growing)["Letting"].silences


def test_a_penalty_that_restrains_nothing_can_be_mended(what_ifs):
    detached = Penalty("p", 2.0, PLACE, PenaltyFlaw.DETACHED)
    found = what_ifs("SCL104", replace(STATE, penalties=(detached,)))
    assert (found["Taking"].silences, found["Taking"].verdict) == (True, Verdict.PASS)


def test_an_unheard_readout_can_be_put_into_the_loss(what_ifs):
    gate = replace(
        READOUT, name="gate", visibility=Visibility.SATURATING, supervised=False, location=PLACE
    )
    found = what_ifs("SCL103", replace(STATE, readouts=(READOUT, gate)))["Putting"]
    assert found.silences
    assert found.others == ("SCL102",)
    assert found.facts == (
        "visibility: invariant -> saturating",
        "readout `gate`: outside the loss -> in the loss",
    )


def test_a_state_can_be_carried_in_more_bits(what_ifs):
    narrow = replace(STATE, dtype="bfloat16")
    assert what_ifs("SCL301", narrow)["Carrying"].silences


def test_either_answer_to_what_is_not_known_is_told(rules):
    opaque = Opaque("lib.scan", PLACE, "no law")
    state = replace(STATE, transition=Transition.UNKNOWN, gain=None, opaque=(opaque,))
    facts = _facts(state)
    judged = evaluate(rules, "m.py", "M", facts)
    target = TargetReport("m.py", "M", judged.verdict, facts, judged.findings)
    matches = find(Report("0", "2", (target,)), read_question("m.py:5", "SCL902"))
    explanation = explain(
        matches,
        lambda f: (
            evaluate(rules, "m.py", "M", f).findings,
            evaluate(rules, "m.py", "M", f).verdict,
        ),
        None,
    )
    verdicts = {each.text: each.verdict for each in explanation.what_ifs}
    assert verdicts["If it turned out that lib.scan keeps the length"] is Verdict.FAIL
    assert verdicts["If it turned out that lib.scan forgets the length"] is Verdict.PASS


def test_a_finding_about_no_state_has_no_what_if():
    lonely = replace(FINDING, subject="target `M`")
    matches = find(_report(lonely), read_question("m.py:5"))
    assert explain(matches, lambda _: ((), Verdict.PASS), None).what_ifs == ()
