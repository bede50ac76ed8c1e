"""Ranges of values, with ends that are never reached."""

from __future__ import annotations

import math

import pytest

from scaleaudit.domain.scale import INFINITY, REALS, Interval
from scaleaudit.scale import intervals

UNIT = Interval(0.0, 1.0, low_open=True, high_open=True)


def test_a_sum_adds_ends_and_keeps_them_open() -> None:
    assert intervals.add(UNIT, Interval(1.0, 2.0)) == Interval(1.0, 3.0, True, True)


def test_one_minus_a_gate_is_a_gate() -> None:
    assert intervals.add(intervals.point(1.0), intervals.negate(UNIT)) == UNIT


def test_a_product_of_gates_is_open_at_both_ends() -> None:
    assert intervals.multiply(UNIT, UNIT) == UNIT


def test_a_product_with_a_negative_number_turns_the_ends() -> None:
    turned = intervals.multiply(Interval(0.0, 2.0, high_open=True), intervals.point(-3.0))
    assert (turned.low, turned.high, turned.low_open) == (-6.0, 0.0, True)


def test_a_product_with_a_value_that_can_be_0_reaches_0() -> None:
    assert 0.0 in intervals.multiply(Interval(0.0, 1.0), UNIT)


def test_zero_times_anything_is_0() -> None:
    assert intervals.multiply(intervals.point(0.0), REALS) == intervals.point(0.0)


@pytest.mark.parametrize(
    ("span", "square"),
    [
        (Interval(-1.0, 3.0), Interval(0.0, 9.0)),
        (Interval(-3.0, 1.0), Interval(0.0, 9.0)),
        (Interval(2.0, 3.0), Interval(4.0, 9.0)),
        (Interval(-3.0, -2.0), Interval(4.0, 9.0)),
        (REALS, Interval(0.0, INFINITY)),
    ],
)
def test_a_square_is_never_negative(span: Interval, square: Interval) -> None:
    assert (intervals.square(span).low, intervals.square(span).high) == (square.low, square.high)


def test_a_bounded_function_never_reaches_its_limits() -> None:
    assert intervals.monotone(REALS, math.tanh) == Interval(-1.0, 1.0, True, True)


def test_the_reciprocal_of_what_is_above_1_is_below_1() -> None:
    assert intervals.reciprocal(Interval(1.0, INFINITY)) == Interval(0.0, 1.0, True, False)


def test_the_reciprocal_across_0_is_anything() -> None:
    assert intervals.reciprocal(Interval(-1.0, 1.0)) == REALS


def test_clamping_closes_what_is_cut() -> None:
    cut = intervals.clamp(Interval(-5.0, 5.0, True, True), -1.0, 1.0)
    assert (cut.low, cut.high) == (-1.0, 1.0)
    assert -1.0 in cut
    assert 1.0 in cut


def test_a_root_of_a_square_is_never_negative() -> None:
    assert intervals.power(Interval(0.0, 4.0), 0.5) == Interval(0.0, 2.0)


def test_an_odd_power_keeps_signs() -> None:
    assert intervals.power(Interval(-2.0, 3.0), 3) == Interval(-8.0, 27.0)


def test_a_hull_is_closed_where_either_reaches_the_end() -> None:
    hull = UNIT.hull(Interval(0.0, 0.5))
    assert 0.0 in hull
    assert 1.0 not in hull
