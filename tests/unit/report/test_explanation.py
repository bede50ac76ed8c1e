from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from reports import BLIND, LOOP, STATE, blind, hostile

from scaleaudit.domain.explanation import Condition, Explanation, Match, WhatIf
from scaleaudit.domain.facts import (
    Certification,
    Gain,
    Opaque,
    Outcome,
    Penalty,
    PenaltyFlaw,
)
from scaleaudit.domain.finding import Suppressed, SuppressionKind
from scaleaudit.domain.report import Report, Verdict
from scaleaudit.report.explanation import explanation_text

CONDITION = Condition(
    "state.active && state.blind", (("state.active", "true"), ("state.blind", "true"))
)
CURE = WhatIf("Normalising", ("transition: carried -> removed",), True, Verdict.PASS)
NO_CURE = WhatIf("Bounding what a turn writes", ("x: no -> yes",), False, Verdict.FAIL, ("SCL205",))


def _explained(report: Report, **changes: object) -> Explanation:
    (target,) = report.targets
    (finding,) = target.findings
    (loop,) = target.facts.loops
    made = Explanation(Match(target, finding), CONDITION, loop, loop.states[0], (CURE, NO_CURE))
    return replace(made, **changes)


def test_an_explanation_is_as_expected(expect):
    expect("explanation", explanation_text(_explained(blind()), blind()))


def test_everything_that_is_known_of_a_state_is_told():
    opaque = Opaque("lib.scan", LOOP, "no law says what it does")
    state = replace(
        STATE,
        gain=Gain(0.0, 1.0, high_open=True, learned=True, location=LOOP),
        penalties=(Penalty("p", 2.0, None), Penalty("q", None, LOOP, PenaltyFlaw.DETACHED)),
        bypassed_norm=LOOP,
        opaque=(opaque,),
        seen_through=("slow",),
    )
    (target,) = blind().targets
    numbers = Certification(Outcome.CERTIFIED, compared=12)
    known = replace(target, facts=replace(target.facts, certification=numbers))
    accepted = Suppressed(BLIND, SuppressionKind.COMMENT, "as in the paper")
    made = _explained(
        blind(), state=state, match=Match(known, BLIND, accepted), also=("m.py::Other",)
    )
    text = explanation_text(made, blind())
    for said in (
        "[0, 1), set by a parameter, applied at model.py:8:9, ends in round brackets are never",
        "penalty      p: effective; degree 2, it is multiplied by a^2",
        "penalty      q (model.py:8:9): ineffective: detached; how it answers to a is not known",
        "goes around the norm at model.py:8:9",
        "unknown      lib.scan at model.py:8:9: no law says what it does",
        "seen through state `slow` alone",
        "a penalty restrains it",
        "numbers      certified: 12 values held against numbers",
        "also of      m.py::Other",
        "by a comment: as in the paper",
    ):
        assert said in text


def test_what_repeats_in_a_proof_is_told_once():
    text = explanation_text(_explained(blind()), blind())
    assert "... steps 2 to 3 again, 11 more times" in text
    assert "  26. model.py:11:26" in text


def test_a_finding_about_no_state_has_its_proof_alone():
    made = _explained(blind(), loop=None, state=None, condition=None, what_ifs=())
    text = explanation_text(made, blind())
    assert "What is known" not in text
    assert "The proof" in text


def test_nothing_that_a_model_names_can_command_the_terminal():
    text = explanation_text(_explained(hostile()), hostile())
    categories = {unicodedata.category(char) for char in text if char != "\n"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def test_colour_changes_nothing_but_escape_codes():
    coloured = explanation_text(_explained(blind()), blind(), colour=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in plain.splitlines()] == explanation_text(
        _explained(blind()), blind()
    ).splitlines()


def test_long_lines_are_broken_for_a_terminal_and_source_is_not():
    made = _explained(blind())
    wide, narrow = explanation_text(made, blind()), explanation_text(made, blind(), columns=60)
    assert wide.split() == narrow.split()
    code = "            h = h + self.mlp(self.norm2(h))"
    assert all(len(line) <= 60 for line in narrow.splitlines() if code not in line)
    assert code in narrow
