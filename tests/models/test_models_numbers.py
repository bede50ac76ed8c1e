"""The expectations of the zoo, held against numbers that the audit has no part in."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from expect import Expect, State
from measuring import Response, respond
from zoo import Case, cases

FACTORS = (1.0, 1e2, 1e4, 1e6)
NOTHING = 1e-5
"""Slopes below this are the eps of a norm, or rounding."""


def one_kind(expect: Expect) -> bool:
    """Whether a single transition is expected of every state that is scaled."""
    return len(expect.states) == 1


MEASURED = [case for case in cases() if case.expect.states and case.expect.carries]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def responses_of(case: Case) -> tuple[Response, ...]:
    """Measure a case once for all that is asked of it."""
    return respond(case, FACTORS)


def answer(responses: tuple[Response, ...]) -> str:
    """Say how the loss answers to growing states: visible, rewarded, invariant or fading."""
    first, _, late, last = (response.slope for response in responses)
    if last > 1e-3 and last > late / 2:
        return "visible"
    if last < -1e-3:
        return "rewarded"
    return "invariant" if abs(first) < NOTHING else "fading"


def admitted(state: State) -> set[str]:
    """Return the answers that the expectation of a state admits."""
    names = {"asymptotic": "fading", "saturating": "fading"}
    answers = {names.get(each, each) for each in state.visibility.split("|")}
    if "negative weight" in state.flaws:
        return {"rewarded"}
    if state.effective is None:
        return answers | {"visible"}
    return {"visible"} if state.effective else answers


@pytest.mark.parametrize("case", MEASURED, ids=str)
def test_measured_answer_to_scale_is_the_expected_one(case: Case) -> None:
    measured = answer(responses_of(case))
    expected = [admitted(state) for state in case.expect.states]
    # All states are scaled at once, so the most visible one speaks.
    visible = any("visible" in each for each in expected)
    assert measured in ({"visible"} if visible and len(expected) > 1 else set.union(*expected))


@pytest.mark.parametrize("case", [case for case in MEASURED if one_kind(case.expect)], ids=str)
def test_measured_gain_of_a_turn_fits_the_transition(case: Case) -> None:
    gains = responses_of(case)[-1].gains
    low, high = min(gains), max(gains)
    fits = {
        "carried": low > 1e-3 and high < 1.001,
        "expanding": high > 1.001,
        "damped": high < 0.999,
        "linear": low > 1e-3,
        "removed": low < 1e-4,
        "bounded": high < 0.999,
    }
    assert any(fits[each] for each in case.expect.states[0].transition.split("|"))
