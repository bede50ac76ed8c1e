"""The law of custom autograd functions: values by the forward, gradients by the backward."""

from __future__ import annotations

import pytest

from scaleaudit.domain.scale import LINEAR, REALS, Degree, Growth, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.laws import all_laws
from scaleaudit.scale.laws.table import NotUnderstood

LAW = all_laws()["scaleaudit.custom_gradient"]
STATE = Scale(LINEAR, REALS)
OTHER = Scale(Growth(lo=Degree(2), hi=Degree(2)), REALS)
RESULT = Scale(Growth(), REALS)
FIXED = algebra.independent()
GROUPS = ("forward", "stopped", "straight", "added", "across", "own", "hidden")


def arguments(**groups: tuple[Scale, ...]) -> tuple[object, ...]:
    return (RESULT, *(groups.get(name, ()) for name in GROUPS))


@pytest.mark.parametrize("group", ["forward", "stopped", "straight", "across", "own"])
def test_the_value_is_that_of_the_forward_whatever_the_backward(group):
    assert LAW.apply(*arguments(**{group: (STATE,)})) is RESULT


@pytest.mark.parametrize("group", ["added", "hidden"])
def test_what_is_computed_or_added_out_of_sight_is_not_understood(group):
    for view in (LAW.apply, LAW.gradient):
        with pytest.raises(NotUnderstood):
            view(*arguments(**{group: (STATE,)}))


def test_gradients_of_the_forward_see_the_value():
    assert LAW.gradient(*arguments(forward=(STATE,), stopped=(FIXED,))) is RESULT


def test_a_stopped_argument_is_a_constant_to_gradients():
    assert not LAW.gradient(*arguments(stopped=(STATE,), forward=(FIXED,))).depends


def test_a_straight_argument_stands_for_the_result():
    assert LAW.gradient(*arguments(straight=(STATE,), own=(FIXED,))) is STATE


@pytest.mark.parametrize(
    "groups",
    [
        {"own": (STATE,)},
        {"across": (STATE,)},
        {"forward": (STATE,), "stopped": (OTHER,)},
        {"straight": (STATE,), "stopped": (OTHER,)},
        {"straight": (STATE,), "forward": (OTHER,)},
        {"straight": (STATE, OTHER)},
    ],
)
def test_a_part_of_a_gradient_is_not_understood(groups):
    with pytest.raises(NotUnderstood):
        LAW.gradient(*arguments(**groups))


def test_nothing_is_hidden_that_no_state_reaches():
    fixed = dict.fromkeys(GROUPS, (FIXED,))
    assert LAW.apply(*arguments(**fixed)) is RESULT


@pytest.mark.parametrize("group", ["forward", "straight", "own"])
def test_a_state_inside_of_the_forward_answers_by_what_the_backward_trains(group):
    assert LAW.gradient(*arguments(**{group: (FIXED,), "stopped": (FIXED,)})) is RESULT


def test_a_state_inside_is_a_constant_to_a_backward_that_hears_no_length():
    deaf = arguments(stopped=(FIXED,), across=(FIXED,), added=(FIXED,))
    assert not LAW.gradient(*deaf).depends


@pytest.mark.parametrize("operator", ["scaleaudit.unseen_write", "triton.kernel"])
def test_what_is_written_out_of_sight_is_understood_only_where_no_state_reaches_it(operator):
    law = all_laws()[operator]
    assert not law.apply(FIXED, (FIXED,)).depends
    for arguments_ in ((STATE, ()), (FIXED, (FIXED, STATE))):
        with pytest.raises(NotUnderstood):
            law.apply(*arguments_)
