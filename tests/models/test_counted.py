"""What decides how often a loop turns, and in how many bits its state goes around."""

from __future__ import annotations

from pathlib import Path

import pytest
from counted import ANSWERS, DTYPES, Deep

from scaleaudit.api import audit_facts
from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

FILE = str(Path(__file__).with_name("counted.py"))
RULES = load_rules()


def facts_of(model: type[Deep]) -> ScaleFacts:
    return audit_facts(FILE, f"scaleaudit_target_{model.__name__}")


def codes(facts: ScaleFacts) -> set[str]:
    return {finding.code for finding in evaluate(RULES, FILE, "target", facts).findings}


@pytest.mark.parametrize("model", ANSWERS, ids=lambda model: model.__name__)
def test_what_decides_the_turns_is_read_or_left_open(model: type[Deep]) -> None:
    facts = facts_of(model)
    answers = {loop.turns_from.value if loop.turns_from else None for loop in facts.loops}
    assert answers == {ANSWERS[model]}
    chosen = ANSWERS[model] in ("argument", "random")
    assert ("SCL302" in codes(facts)) == chosen


@pytest.mark.parametrize("model", DTYPES, ids=lambda model: model.__name__)
def test_the_bits_are_those_of_the_widest_way(model: type[Deep]) -> None:
    facts = facts_of(model)
    (state,) = (state for loop in facts.loops for state in loop.states)
    assert state.carried_dtype == DTYPES[model]
    assert ("SCL301" in codes(facts)) == (DTYPES[model] != "float32")
