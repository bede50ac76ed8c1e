"""Arithmetic of degrees, without tensors."""

from __future__ import annotations

from fractions import Fraction

import pytest

from scaleaudit.domain.scale import (
    CONSTANT,
    EXPONENTIAL,
    INFINITY,
    LINEAR,
    NONNEGATIVE,
    REALS,
    VANISHING,
    ZERO,
    Degree,
    Growth,
    Precision,
)
from scaleaudit.scale import growth

FLAT = Growth()
HALF = Growth(Degree(Fraction(1, 2)), Degree(Fraction(1, 2)))
INVERSE = Growth(Degree(-1), Degree(-1))
DEAD_BELOW = Growth(Degree(1), Degree(1), sparse=growth.fresh_pattern())
MIXED = Growth(ZERO, Degree(1), mix=frozenset({-1}))


def test_a_residual_add_keeps_the_degree_exactly() -> None:
    assert growth.add(LINEAR, LINEAR) == LINEAR


def test_a_constant_beside_a_growing_value_fades() -> None:
    total = growth.add(LINEAR, CONSTANT)
    assert (total.lo, total.hi, total.precision) == ((1, 0), (1, 0), Precision.ASYMPTOTIC)


def test_an_eps_beside_a_growing_norm_counts_up_to_eps() -> None:
    assert growth.add(LINEAR, CONSTANT, tiny=True).precision is Precision.EPS


def test_a_constant_beside_a_dying_value_remains() -> None:
    total = growth.add(INVERSE, CONSTANT)
    assert (total.lo, total.hi) == (ZERO, ZERO)


def test_elements_that_vanish_leave_the_constant_beside_them() -> None:
    total = growth.add(DEAD_BELOW, CONSTANT)
    assert (total.lo, total.hi) == (ZERO, Degree(1))


def test_degrees_of_a_product_add() -> None:
    assert growth.multiply(LINEAR, INVERSE).hi == ZERO
    assert growth.multiply(LINEAR, HALF).hi == Degree(Fraction(3, 2))


def test_a_quotient_that_cancels_the_length_is_a_norm() -> None:
    assert growth.multiply(LINEAR, INVERSE).normed
    assert not growth.multiply(FLAT, FLAT).normed


def test_what_vanishes_on_either_side_vanishes_in_a_product() -> None:
    ((atom, sign),) = DEAD_BELOW.sparse
    other = Growth(Degree(1), Degree(1), sparse=frozenset({(atom, -sign)}))
    assert growth.multiply(DEAD_BELOW, other).hi == VANISHING


def test_a_power_multiplies_the_degree() -> None:
    assert growth.power(LINEAR, 3).hi == Degree(3)
    assert growth.power(LINEAR, Fraction(-1, 2)).hi == Degree(Fraction(-1, 2))


def test_one_over_what_may_vanish_may_be_anything() -> None:
    inverse = growth.reciprocal(DEAD_BELOW)
    assert inverse.hi == EXPONENTIAL
    assert not inverse.attained


def test_a_reduction_over_the_mixed_dim_has_the_largest_degree() -> None:
    assert growth.reduce(MIXED, frozenset({-1})).lo == Degree(1)
    assert growth.reduce(MIXED, frozenset({-2})).lo == ZERO


def test_a_reduction_of_few_elements_may_vanish() -> None:
    assert growth.reduce(DEAD_BELOW, frozenset({-1}), count=2).sparse
    assert not growth.reduce(DEAD_BELOW, frozenset({-1}), count=growth.MANY).sparse


def test_the_largest_of_either_sign_may_be_a_small_one() -> None:
    assert growth.largest(MIXED, None, REALS).lo == ZERO
    assert growth.largest(MIXED, None, NONNEGATIVE).lo == Degree(1)


def test_a_blend_keeps_either_degree() -> None:
    assert (growth.blend(MIXED).lo, growth.blend(MIXED).hi) == (ZERO, Degree(1))


def test_a_bounded_function_of_a_growing_value_saturates() -> None:
    assert growth.saturate(LINEAR).precision is Precision.SATURATING
    assert growth.saturate(LINEAR).hi == ZERO


def test_a_bounded_function_of_a_normed_value_stays_exact() -> None:
    assert growth.saturate(FLAT) == FLAT


def test_an_odd_function_of_a_dying_value_dies_with_it() -> None:
    assert growth.smooth(INVERSE, odd=True).hi == Degree(-1)
    assert growth.smooth(INVERSE).hi == ZERO


@pytest.mark.parametrize("power", [1, 2, Fraction(1, 2), -1])
def test_a_logarithm_keeps_the_power_as_its_slope(power: Fraction) -> None:
    log = growth.logarithm(growth.power(LINEAR, power))
    assert (log.hi, log.slope) == (Degree(0, 1), power)


def test_the_exponential_of_a_logarithm_is_the_value() -> None:
    back = growth.exponential(growth.logarithm(HALF), low=-1.0, high=1.0, peak=False)
    assert back.hi == HALF.hi


def test_logarithms_that_cancel_leave_their_offsets() -> None:
    log = growth.logarithm(LINEAR)
    other = Growth(log.lo, log.hi, slope=-1)
    assert growth.add(log, other).hi == ZERO


def test_a_product_of_logarithms_is_no_power() -> None:
    log = growth.logarithm(LINEAR)
    assert growth.multiply(log, growth.reciprocal(log)).precision is Precision.ASYMPTOTIC


def test_exp_of_what_is_never_positive_vanishes_but_for_its_peak() -> None:
    below = growth.exponential(LINEAR, low=-1.0, high=0.0, peak=False)
    peaked = growth.exponential(LINEAR, low=-1.0, high=0.0, peak=True)
    assert (below.hi, peaked.hi) == (VANISHING, ZERO)


def test_exp_of_what_is_never_negative_outgrows_every_power() -> None:
    assert growth.exponential(LINEAR, low=0.0, high=9.0, peak=False).hi == EXPONENTIAL


@pytest.mark.parametrize("value", [0.5, 1 / 3, 2.0, -0.25])
def test_exponents_are_exact_fractions(value: float) -> None:
    assert float(growth.rational(value)) == value


def test_an_exponent_of_any_size_leaves_the_degree_open() -> None:
    ends = [growth.scale_degree(Degree(1), growth.rational(end)) for end in (-INFINITY, INFINITY)]
    assert ends == [VANISHING, EXPONENTIAL]
