"""Linear forms: identity paths, gates, and what cancels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scaleaudit.domain.graph import TensorMeta
from scaleaudit.domain.scale import (
    LINEAR,
    REALS,
    ZERO,
    Atom,
    Degree,
    Form,
    Growth,
    Interval,
    Poly,
    Precision,
    Scale,
)
from scaleaudit.scale import algebra, forms, growth
from scaleaudit.scale.algebra import number, plus, times
from scaleaudit.scale.laws import activations, reductions, shapes

Gate = Callable[[Scale], Scale]
GATE = Interval(0.0, 1.0, low_open=True, high_open=True)


def state() -> Scale:
    atom = Atom(LINEAR, REALS, state=0)
    return Scale(LINEAR, given=Form({atom: Poly({(): 1.0})}, Poly()))


def gate(growth: Growth | None = None) -> Scale:
    return algebra.Scale(growth or Growth(), GATE)


def free(growth: Growth) -> Scale:
    """A value that may be anything, as what a matrix makes."""
    return Scale(growth, REALS)


def of_softplus(x: Scale) -> Scale:
    return algebra.exp(algebra.negate(activations.softplus(x)))


def gain(scale: Scale) -> Interval:
    ((_, coefficient),) = scale.form.parts.items()
    return forms.poly_span(coefficient)


def test_h_minus_h_minus_e_is_e() -> None:
    h, e = state(), algebra.independent(learned=True)
    assert not plus(h, plus(h, e, -1.0), -1.0).depends


def test_h_plus_h_has_gain_2() -> None:
    h = state()
    assert gain(plus(h, h)) == Interval(2.0, 2.0)


def test_z_h_plus_1_minus_z_h_has_gain_1() -> None:
    h, z = state(), gate()
    mixed = plus(times(z, h), times(plus(number(1.0), z, -1.0), h))
    assert gain(mixed) == Interval(1.0, 1.0)


def test_h_plus_z_times_n_minus_h_has_the_gain_of_1_minus_z() -> None:
    h, z, n = state(), gate(), Scale(Growth(), Interval(-1.0, 1.0))
    mixed = plus(h, times(z, plus(n, h, -1.0)))
    assert gain(mixed) == GATE


def test_a_gate_that_reads_a_growing_state_reaches_its_limits() -> None:
    h = state()
    open_gate = gate(Growth(precision=Precision.SATURATING))
    assert gain(times(open_gate, h)) == Interval(0.0, 1.0)


@pytest.mark.parametrize("gate_of", [activations.sigmoid, activations.tanh, of_softplus])
def test_a_gate_that_reads_what_is_bounded_stays_off_its_limits(gate_of: Gate) -> None:
    h = state()
    grown, bounded = free(LINEAR), free(Growth(precision=Precision.SATURATING))
    assert gain(times(gate_of(grown), h)).high == 1
    assert not gain(times(gate_of(grown), h)).high_open
    assert gain(times(gate_of(bounded), h)).high_open
    half = number(0.5)
    assert gain(plus(times(half, h), times(half, times(gate_of(bounded), h)))).high_open


def test_a_gate_of_what_tends_to_an_end_of_its_range_reaches_its_own() -> None:
    tail = plus(activations.tanh(free(LINEAR)), number(-1.0))  # from -2 to 0, and comes near
    assert not gain(times(algebra.exp(tail), state())).high_open


def test_two_gates_multiply() -> None:
    h = state()
    assert gain(times(gate(), times(gate(), h))) == GATE


def test_gates_of_both_ends_are_found_at_corners() -> None:
    a, b = Atom(Growth(), Interval(0.0, 1.0)), Atom(Growth(), Interval(0.0, 1.0))
    difference = Poly({(a,): 1.0, (b,): -1.0, (a, b): 1.0})
    assert forms.poly_span(difference) == Interval(-1.0, 1.0)


def test_the_candidate_of_a_convex_mix_is_found() -> None:
    z, n = Atom(Growth(), GATE), Atom(Growth(), Interval(-1.0, 1.0))
    found = forms.quotient(Poly({(n,): 1.0, (z, n): -1.0}), Poly({(z,): 1.0}))
    assert found is not None
    assert dict(found.terms) == {(n,): 1.0}


def test_a_sum_that_is_no_convex_mix_has_no_candidate() -> None:
    z, n = Atom(Growth(), GATE), Atom(Growth(), Interval(-1.0, 1.0))
    assert forms.quotient(Poly({(n,): 1.0}), Poly({(z,): 1.0})) is None


def test_an_arrangement_that_is_undone_is_the_same_atom() -> None:
    atom = Atom(LINEAR, REALS, state=0)
    there = atom.viewed((("permute", (1, 0), (2, 3), (3, 2)),))
    assert there is not atom
    assert there is atom.viewed((("permute", (1, 0), (2, 3), (3, 2)),))
    assert there.viewed(()) is atom


def test_a_difference_of_two_arrangements_does_not_cancel() -> None:
    atom = Atom(LINEAR, REALS, state=0)
    there = atom.viewed((("permute", (1, 0), (2, 2), (2, 2)),))
    one, other = (Form({a: Poly({(): 1.0})}, Poly()) for a in (atom, there))
    total, cancelled = forms.add(one, other, -1.0)
    assert len(total.parts) == 2
    assert not cancelled


def test_equal_forms_are_equal_whatever_their_objects() -> None:
    atom = Atom(LINEAR, REALS)
    one, other = (Form({atom: Poly({(): 2.0})}, Poly()) for _ in range(2))
    assert forms.equal(one, other)
    assert not forms.equal(one, Form({atom: Poly({(): 1.0})}, Poly()))


@pytest.mark.parametrize("count", [forms.MAX_TERMS + 1, 200])
def test_a_long_sum_of_gates_folds_into_one(count: int) -> None:
    total = number(0.0)
    for _ in range(count):
        total = plus(total, gate())
    assert len(total.form.rest.terms) <= forms.MAX_TERMS


def test_a_norm_written_by_hand_is_bounded_where_every_element_may_vanish() -> None:
    relu = Scale(Growth(Degree(1), Degree(1), sparse=growth.fresh_pattern()), shape=(4,))
    size = reductions.vector_norm(relu, 2, (-1,), keepdim=True)
    normed = algebra.divide(relu, plus(size, number(1e-6)))
    assert (normed.growth.hi, normed.growth.attained) == (ZERO, True)
    assert (normed.span.low, normed.span.high) == (-1.0, 1.0)


def test_a_root_mean_square_bounds_by_the_root_of_the_count() -> None:
    h = Scale(LINEAR, shape=(4, 9))
    size = reductions.mean(algebra.squared(h), (-1,), keepdim=True)
    normed = times(h, algebra.power(plus(size, number(1e-6)), number(-0.5)))
    assert normed.span == Interval(-3.0, 3.0)


def fading_chances() -> Scale:
    """Chances of which all that are looked at may die."""
    g = Growth(sparse=growth.fresh_pattern(), precision=Precision.SATURATING)
    return Scale(g, GATE, shape=(4,))


def test_shares_of_a_sum_are_bounded_where_all_of_it_may_vanish() -> None:
    chances = fading_chances()
    total = reductions.total(chances, (-1,), keepdim=True)
    assert algebra.reciprocal(total).growth.hi > ZERO
    shares = algebra.divide(chances, total)
    assert shares.growth.hi == ZERO
    assert (shares.span.low, shares.span.high) == (0.0, 1.0)


def test_shares_of_a_mean_are_bounded_by_their_number() -> None:
    chances = fading_chances()
    shares = algebra.divide(chances, reductions.mean(chances, (-1,), keepdim=True))
    assert (shares.span.low, shares.span.high) == (0.0, 4.0)


def test_a_sum_of_both_signs_bounds_nothing() -> None:
    signed = Scale(Growth(sparse=growth.fresh_pattern()), Interval(-1.0, 1.0), shape=(4,))
    shares = algebra.divide(signed, reductions.total(signed, (-1,), keepdim=True))
    assert shares.growth.hi > ZERO
    assert shares.span == REALS


def test_the_length_of_another_value_bounds_nothing() -> None:
    h, e = Scale(LINEAR, shape=(4, 9)), Scale(LINEAR, shape=(4, 9))
    size = reductions.vector_norm(e, 2, (-1,), keepdim=True)
    assert algebra.divide(h, size).span == REALS


def test_a_length_that_lacks_its_dim_does_not_bound_until_it_has_it() -> None:
    h = Scale(LINEAR, shape=(9, 9))
    size = reductions.vector_norm(h, 2, (-1,), keepdim=False)
    assert algebra.divide(h, size).span == REALS
    out = (TensorMeta((9, 1), "float32"),)
    column = shapes.view(Scale(size.growth, size.span, (9,), size=size.size), out=out)
    assert algebra.divide(h, column).span == Interval(-1.0, 1.0)
