"""Conditions have three answers, and the traps of CEL are closed."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.rules.cel import Answer, CelError, Kind, Vocabulary
from scaleaudit.rules.judgement import all_of

KINDS = {
    "a.x": Kind.BOOL,
    "a.y": Kind.BOOL,
    "a.z": Kind.BOOL,
    "a.number": Kind.DOUBLE,
    "a.count": Kind.INT,
    "a.word": Kind.TEXT,
    "a.words": Kind.TEXTS,
}
NAMES = ("a.x", "a.y", "a.z")
VOCABULARY = Vocabulary(KINDS)
ANSWERS = {True: Answer.FIRES, False: Answer.SILENT, None: Answer.UNKNOWN}


def ask(source: str, **values: Any) -> Answer:
    return VOCABULARY.compile(source).ask({f"a.{name}": value for name, value in values.items()})


def test_a_missing_fact_is_unknown_and_not_true() -> None:
    assert ask("a.x") is Answer.UNKNOWN
    assert ask("!a.x") is Answer.UNKNOWN
    assert ask("a.word == 'b'") is Answer.UNKNOWN
    assert ask("a.x ? true : true") is Answer.UNKNOWN


def test_and_and_or_absorb_what_is_missing_on_either_side() -> None:
    assert ask("a.x && a.y", y=False) is Answer.SILENT
    assert ask("a.y && a.x", y=False) is Answer.SILENT
    assert ask("a.x || a.y", y=True) is Answer.FIRES
    assert ask("a.y || a.x", y=True) is Answer.FIRES
    assert ask("a.x && a.y", y=True) is Answer.UNKNOWN
    assert ask("a.x || a.y", y=False) is Answer.UNKNOWN


def test_only_a_real_boolean_true_fires() -> None:
    assert ask("a.x", x=True) is Answer.FIRES
    for impostor in (1, "true", None, [True]):
        assert ask("a.x", x=impostor) is Answer.UNKNOWN


def test_a_fact_of_the_wrong_type_is_unknown() -> None:
    assert ask("a.number > 1.0", number="2") is Answer.UNKNOWN
    assert ask("a.count > 1", count=2**70) is Answer.UNKNOWN


def test_errors_in_the_arithmetic_are_unknown() -> None:
    assert ask("a.count / 0 == 1", count=1) is Answer.UNKNOWN
    assert ask("a.count / 0 == 1 || true", count=1) is Answer.FIRES


def test_infinite_bounds_compare_as_numbers() -> None:
    assert ask("a.number > 1.0", number=math.inf) is Answer.FIRES
    assert ask("a.number < -1.0", number=-math.inf) is Answer.FIRES


def test_all_over_nothing_is_true_which_is_why_pages_must_count() -> None:
    assert ask("a.words.all(w, w == 'b')", words=()) is Answer.FIRES
    assert ask("a.words.all(w, w == 'b')") is Answer.UNKNOWN


def test_conditions_cannot_loop_for_long() -> None:
    ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
    condition = VOCABULARY.compile(
        f"{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, {ten}.all(e, true)))))"
    )
    start = time.perf_counter()
    assert condition.ask({}) is Answer.UNKNOWN
    assert time.perf_counter() - start < 1


def test_conditions_know_what_they_mention() -> None:
    condition = VOCABULARY.compile("a.x && a.words.exists(w, w in [\"b\", 'a.y']) && a . z")
    assert condition.mentions == ("a.x", "a.words", "a.z")
    assert condition.literals == ("b", "a.y")


def test_words_in_strings_are_no_calls() -> None:
    assert ask("a.word == 'has(x)'", word="has(x)") is Answer.FIRES


@pytest.mark.parametrize("source", ["has(a.x)", "dyn(a.x) == 1", "a.x && has (a.y)", "type(a.x)"])
def test_functions_that_hide_a_missing_fact_are_refused(source: str) -> None:
    with pytest.raises(CelError, match="is not available"):
        VOCABULARY.compile(source)


def test_problems_name_their_line() -> None:
    with pytest.raises(CelError) as caught:
        VOCABULARY.compile("a.x\n  && a.w")
    assert caught.value.line == 2
    assert caught.value.message == "undeclared reference to 'a.w'"


def formulas() -> st.SearchStrategy[tuple[str, Any]]:
    """Formulas, as CEL and as a function of three facts by Kleene's tables."""
    leaves = st.sampled_from(NAMES).map(lambda name: (name, lambda facts: facts[name]))
    return st.recursive(
        leaves, lambda inner: st.one_of(negations(inner), pairs(inner)), max_leaves=6
    )


def negations(inner: Any) -> Any:
    def negate(formula: Any) -> Any:
        source, truth = formula
        return f"!({source})", lambda facts: None if truth(facts) is None else not truth(facts)

    return inner.map(negate)


def pairs(inner: Any) -> Any:
    def join(operator: str, left: Any, right: Any) -> Any:
        def truth(facts: Any) -> Any:
            first, second = left[1](facts), right[1](facts)
            settling = operator == "||"
            if settling in (first, second):
                return settling
            return None if None in (first, second) else not settling

        return f"({left[0]}) {operator} ({right[0]})", truth

    return st.builds(join, st.sampled_from(("&&", "||")), inner, inner)


@given(formulas(), st.tuples(*[st.sampled_from((True, False, None))] * 3))
def test_answers_are_those_of_three_valued_logic(formula: Any, truths: Any) -> None:
    source, truth = formula
    facts = dict(zip(NAMES, truths, strict=True))
    known = {name: value for name, value in facts.items() if value is not None}
    assert VOCABULARY.compile(source).ask(known) is ANSWERS[truth(facts)]


@given(st.lists(st.sampled_from((True, False, None)), max_size=4))
def test_our_own_and_is_the_same_as_that_of_conditions(answers: list[bool | None]) -> None:
    names = [f"a.x{i}" for i in range(len(answers))]
    vocabulary = Vocabulary(dict.fromkeys(names, Kind.BOOL))
    known = {n: a for n, a in zip(names, answers, strict=True) if a is not None}
    condition = vocabulary.compile(" && ".join(names) or "true")
    assert condition.ask(known) is ANSWERS[all_of(*answers)]
