"""From scales to words: the tables of visibility and of activity, row by row."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaleaudit.domain.facts import Opaque, Transition, Visibility
from scaleaudit.domain.scale import (
    CONSTANT,
    LINEAR,
    REALS,
    VANISHING,
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
from scaleaudit.scale import judge
from scaleaudit.scale.algebra import number, plus, times
from scaleaudit.scale.cycles import Cycle, Update, find_cycle, spectral_radius
from scaleaudit.scale.judge import Turn, judge_turn, steady, visibility

GATE = Interval(0.0, 1.0, low_open=True, high_open=True)
UNIT = Interval(-1.0, 1.0, low_open=True, high_open=True)
NORMED = Growth(precision=Precision.EPS, normed=True)
SATURATING = Growth(precision=Precision.SATURATING)
UNKNOWN = Opaque("aten.mystery", None, "no law is known for it")


def of_degree(power: Fraction | float, precision: Precision = Precision.EXACT) -> Scale:
    degree = Degree(power)
    return Scale(Growth(degree, degree, precision=precision))


# The table of visibilities.


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (of_degree(0), "invariant"),
        (of_degree(0, Precision.EPS), "invariant"),
        (Scale(CONSTANT), "invariant"),
        (of_degree(0, Precision.ASYMPTOTIC), "asymptotic"),
        (of_degree(0, Precision.SATURATING), "saturating"),
        (Scale(Growth(VANISHING, VANISHING)), "saturating"),
        (of_degree(1), "visible"),
        (of_degree(2, Precision.ASYMPTOTIC), "visible"),
        (of_degree(Fraction(1, 2)), "visible"),
        (of_degree(-1), "visible"),
        (Scale(Growth(Degree(0, 1), Degree(0, 1))), "visible"),
        (replace(of_degree(0), opaque=(UNKNOWN,)), "unknown"),
        (Scale(Growth(ZERO, Degree(1), attained=False)), "unknown"),
        (Scale(Growth(ZERO, Degree(1))), "visible"),
    ],
)
def test_how_a_value_answers_to_scale(value: Scale, answer: str) -> None:
    assert visibility(value) is Visibility(answer)


# The same draws in every run.
fixed = settings(derandomize=True, deadline=None, database=None)

answers = st.sampled_from(list(Visibility))


@fixed
@given(answers, answers)
def test_what_must_both_hold_is_the_less_visible_in_any_order(x: Visibility, y: Visibility) -> None:
    found = judge.least(x, y)
    assert found is judge.least(y, x)
    assert found in (x, y)


@fixed
@given(st.lists(answers, min_size=1))
def test_a_sum_is_as_visible_as_its_most_visible_term(found: list[Visibility]) -> None:
    most = judge.most(found)
    assert most in found
    assert most is judge.most(found[::-1])
    if Visibility.VISIBLE in found:
        assert most is Visibility.VISIBLE


def test_an_unknown_is_never_taken_for_safe() -> None:
    unknown = Visibility.UNKNOWN
    assert judge.most([Visibility.SATURATING, unknown]) is unknown
    assert judge.least(unknown, Visibility.VISIBLE) is unknown
    assert judge.least(unknown, Visibility.INVARIANT) is Visibility.INVARIANT


# The table of activity.


def state(index: int = 0) -> Scale:
    atom = Atom(LINEAR, REALS, state=index)
    return Scale(LINEAR, given=Form({atom: Poly({(): 1.0})}, Poly()))


H = state()
WRITE = Scale(NORMED)
RAW = Scale(LINEAR)
PARAMETER = Scale(CONSTANT, GATE, learned=True)
NORMED_GATE = Scale(NORMED, GATE)
RAW_GATE = Scale(SATURATING, GATE)
FREE = Scale(CONSTANT, REALS, learned=True)
CANDIDATE = Scale(SATURATING, UNIT)


def mixed(gate: Scale, candidate: Scale) -> Scale:
    return plus(times(gate, H), times(plus(number(1), gate, -1), candidate))


@pytest.mark.parametrize(
    ("value", "transition"),
    [
        (plus(H, WRITE), "carried"),
        (plus(times(RAW_GATE, H), WRITE), "carried"),
        (mixed(RAW_GATE, plus(H, WRITE)), "carried"),
        (plus(H, RAW), "expanding"),
        (plus(H, Scale(Growth(Degree(2), Degree(2)))), "expanding"),
        (plus(times(number(2), H), WRITE), "expanding"),
        (times(plus(number(1), PARAMETER), H), "expanding"),
        (times(plus(number(1), CANDIDATE), H), "expanding"),
        (plus(times(PARAMETER, H), WRITE), "damped"),
        (plus(times(NORMED_GATE, H), WRITE), "damped"),
        (times(number(0.5), plus(H, WRITE)), "damped"),
        (times(number(0.5), plus(H, RAW)), "linear"),
        (RAW, "linear"),
        (plus(times(FREE, H), WRITE), "linear"),
        (WRITE, "removed"),
        (Scale(CONSTANT), "removed"),
        (CANDIDATE, "bounded"),
        (of_degree(Fraction(1, 2)), "bounded"),
        (mixed(PARAMETER, CANDIDATE), "bounded"),
        (mixed(RAW_GATE, CANDIDATE), "bounded"),
        (plus(H, times(NORMED_GATE, plus(CANDIDATE, H, -1))), "bounded"),
        (plus(times(number(0.5), H), CANDIDATE), "bounded"),
        (mixed(NORMED_GATE, WRITE), "damped"),
        (Scale(Growth(Degree(2), Degree(2))), "expanding"),
        (replace(H, opaque=(UNKNOWN,)), "unknown"),
    ],
)
def test_what_a_turn_does_to_the_length(value: Scale, transition: str) -> None:
    assert judge_turn(value, 0).transition is Transition(transition)


def test_the_gain_of_a_residual_is_exactly_1() -> None:
    turn = judge_turn(plus(H, WRITE), 0)
    assert turn.gain == Interval(1, 1)
    assert not turn.learned


def test_the_gain_of_a_parameter_behind_a_sigmoid_never_reaches_1() -> None:
    turn = judge_turn(plus(times(PARAMETER, H), WRITE), 0)
    assert turn.gain == GATE
    assert turn.learned


def test_the_gain_of_a_gate_that_reads_the_raw_state_reaches_1_in_the_limit() -> None:
    turn = judge_turn(plus(times(RAW_GATE, H), WRITE), 0)
    assert turn.gain == Interval(0, 1)
    assert not turn.learned


def test_a_mix_of_the_state_with_itself_has_gain_1() -> None:
    assert judge_turn(mixed(NORMED_GATE, plus(H, WRITE)), 0).gain == Interval(1, 1)


def test_a_branch_is_named_by_its_degree() -> None:
    assert judge_turn(plus(H, RAW), 0).branch == Degree(1)
    assert judge_turn(plus(H, WRITE), 0).branch == ZERO


def test_writes_count_as_bounded_for_any_weights_only() -> None:
    damped = plus(times(PARAMETER, H), CANDIDATE)
    assert judge_turn(damped, 0).writes_bounded
    assert not judge_turn(plus(times(PARAMETER, H), WRITE), 0).writes_bounded


def test_another_state_alone_replaces_this_one() -> None:
    assert judge_turn(state(1), 0).transition is Transition.REMOVED


def updated(changed: int, gains: dict[tuple[int, int], float]) -> Update:
    return Update(changed, {aged: Interval(g, g) for aged, g in gains.items()}, signed=True)


def test_momentum_carries_what_it_adds_and_takes_away_again() -> None:
    """h + 0.9 (h - previous): the roots of x**2 - 1.9 x + 0.9 are 1 and 0.9."""
    cycle = find_cycle([updated(0, {(0, 0): 1.9, (0, 1): -0.9})], 0)
    assert cycle.gain == Interval(1, 1)


def test_a_rotation_carries_two_states() -> None:
    turn = [updated(0, {(0, 0): 0.8, (1, 0): -0.6}), updated(1, {(0, 1): 0.6, (1, 0): 0.8})]
    assert find_cycle(turn, 0).gain == find_cycle(turn, 1).gain == Interval(1, 1)


def test_magnitudes_add_up_where_signs_are_not_known() -> None:
    gains = {(0, 0): Interval(-0.8, 0.8), (1, 0): Interval(-0.6, 0.6)}
    assert find_cycle([Update(0, gains), updated(1, {(0, 0): 1.0})], 0).gain.high > 1


def test_two_states_that_swap_carry_each_other() -> None:
    # One after the other, the second would read the first's new value: age 1 is the old one.
    cycle = find_cycle([updated(0, {(1, 0): 1.0}), updated(1, {(0, 1): 1.0})], 0)
    assert cycle == Cycle(frozenset({0, 1}), Interval(1, 1), delayed=True)
    assert judge_turn(plus(state(1), WRITE), 0, cycle).transition is Transition.CARRIED


def test_two_states_that_add_each_other_expand() -> None:
    both = {(0, 0): 1.0, (1, 0): 1.0}
    cycle = find_cycle([updated(0, both), updated(1, {(0, 1): 1.0, (1, 0): 1.0})], 0)
    assert cycle.gain == Interval(2, 2)
    assert judge_turn(plus(state(0), state(1)), 0, cycle).transition is Transition.EXPANDING


def test_a_state_that_only_feeds_another_does_not_multiply_it() -> None:
    fed = plus(times(number(0.5), state(0)), state(1))
    cycle = find_cycle([updated(0, {(0, 0): 0.5, (1, 0): 1.0}), updated(1, {(1, 0): 1.0})], 0)
    assert cycle.states == {0}
    assert judge_turn(fed, 0, cycle).transition is Transition.DAMPED


# Turns that differ.


def turns(kinds: str) -> list[Turn]:
    names = {
        "c": Transition.CARRIED,
        "r": Transition.REMOVED,
        "d": Transition.DAMPED,
        "e": Transition.EXPANDING,
        "l": Transition.LINEAR,
        "b": Transition.BOUNDED,
        "u": Transition.UNKNOWN,
    }
    return [Turn(names[kind]) for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "transition"),
    [
        ("c", "carried"),
        ("cccc", "carried"),
        ("rcrc", "removed"),  # a norm at every second turn
        ("crcr", "removed"),
        ("ccrccr", "removed"),
        ("rcccc", "carried"),  # a norm before the first turn only
        ("ccccr", "carried"),  # a norm after the last one
        ("crrr", "removed"),  # none in the first turn
        ("ccccccrr", "carried"),  # two norms at the end of many turns are no pattern of all
        ("dcdc", "carried"),  # the worst turn counts
        ("dldl", "linear"),
        ("eueu", "unknown"),
        ("bcbc", "bounded"),
    ],
)
def test_turns_are_judged_by_the_pattern_that_repeats(kinds: str, transition: str) -> None:
    assert steady(turns(kinds)).transition is Transition(transition)


@fixed
@given(st.text("cdelu", min_size=1, max_size=3), st.integers(3, 5))
def test_the_whole_of_a_pattern_counts_however_often_it_repeats(pattern: str, times: int) -> None:
    assert steady(turns(pattern * times)) == judge.over_period(turns(pattern))


@pytest.mark.parametrize(("kinds", "period"), [("rrr", 1), ("rcrc", 2), ("crcr", 2), ("ccrccr", 3)])
def test_of_a_pattern_it_is_told_how_often_a_turn_removes_the_length(
    kinds: str, period: int
) -> None:
    assert steady(turns(kinds)).period == period


# Spectral radii.

sizes = st.integers(1, 4)
entries = st.floats(0, 3).map(lambda x: round(x, 3))
matrices = sizes.flatmap(
    lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=n, max_size=n)
)


@fixed
@given(matrices)
def test_the_spectral_radius_is_the_largest_eigenvalue(matrix: list[list[float]]) -> None:
    expected = np.abs(np.linalg.eigvals(np.array(matrix))).max()
    # Nilpotent blocks make eigenvalues of a general method inexact, not ours.
    assert spectral_radius(matrix) == pytest.approx(expected, abs=2e-3, rel=1e-5)


def test_the_spectral_radius_of_a_shift_is_0() -> None:
    assert spectral_radius([[0.0, 1.0], [0.0, 0.0]]) == 0


def test_the_spectral_radius_of_a_jordan_block_is_its_eigenvalue() -> None:
    assert spectral_radius([[1.0, 1.0], [0.0, 1.0]]) == 1


def test_an_infinite_gain_is_an_infinite_radius() -> None:
    assert spectral_radius([[float("inf")]]) == float("inf")


def test_what_a_row_adds_up_to_bounds_a_cycle() -> None:
    """A mean of a state and of its last two values: each may have all, but not all of them."""
    shares = {(0, age): Interval(0.0, 1.0, low_open=True, high_open=True) for age in (0, 1, 2)}
    assert find_cycle([Update(0, shares)], 0).gain.high > 1
    mean = find_cycle([Update(0, shares, total=Interval(0.0, 1.0))], 0)
    assert (mean.gain.high, mean.gain.high_open) == (1.0, False)
    part = find_cycle([Update(0, shares, total=Interval(0.0, 1.0, high_open=True))], 0)
    assert (part.gain.high, part.gain.high_open) == (1.0, True)
