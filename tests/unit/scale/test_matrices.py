"""Bounds on what computed matrices do to lengths, against the singular values that they have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Interval
from scaleaudit.scale import judge

torch.set_num_threads(1)
ROWS, WIDTH, WIDE = 5, 6, 9
SETTLED = 60
NEAR = 1e-3
Way = Callable[[Program], Ref]


def norm_of(p: Program, matrix: Ref) -> Interval | None:
    """What is said of a matrix, and its true spectral norm beside it."""
    p.state(1)
    return infer(p)[matrix].norm


def largest(p: Program, matrix: Ref) -> float:
    return float(torch.linalg.matrix_norm(p.value(matrix), ord=2))


def direction(p: Program, vector: Ref, *, cleared: bool = True) -> Ref:
    """A vector over its length, as ``normalize`` computes it."""
    length = p("aten.linalg_vector_norm.default", vector, 2, [0], True)
    if cleared:
        length = p("aten.clamp_min.default", length, 1e-12)
    return p("aten.div.Tensor", vector, p("aten.expand.default", length, p.shape(vector)))


def by_iteration(
    p: Program, weight: Ref, other: Ref | None = None, *, own_vectors: bool = True
) -> Ref:
    """W over u W v, with u and v of a power iteration on W, or on another matrix."""
    measured = weight if other is None else other
    v = direction(p, p.parameter(p.shape(weight)[1]))
    u = direction(p, p("aten.mv.default", measured, v))
    for _ in range(SETTLED if own_vectors else 0):
        v = direction(p, p("aten.mv.default", p("aten.t.default", measured), u))
        u = direction(p, p("aten.mv.default", measured, v))
    if not own_vectors:
        u = p.parameter(p.shape(weight)[0])
    copy = p("aten.clone.default", v)
    sigma = p("aten.dot.default", u, p("aten.mv.default", measured, copy))
    return p("aten.div.Tensor", weight, sigma)


def skew(p: Program) -> Ref:
    a = p.parameter(WIDTH, WIDTH)
    return p("aten.sub.Tensor", a, p("aten.t.default", a))


def frobenius(p: Program) -> Ref:
    w = p.parameter(WIDE, WIDTH)
    return p("aten.div.Tensor", w, p("aten.linalg_vector_norm.default", w))


def largest_singular(p: Program) -> Ref:
    w = p.parameter(WIDE, WIDTH)
    values = p("aten._linalg_svd.default", w)
    top = p("aten.amax.default", p.outputs(values)[1], [-1])
    return p("aten.div.Tensor", p("aten.mul.Tensor", w, -0.5), top)


def cut_to_one(p: Program) -> Ref:
    """W / max(1, |W|), which shortens a long matrix and keeps a short one."""
    w = p("aten.mul.Tensor", p.parameter(WIDTH, WIDTH), 0.01)
    size = p("aten.linalg_vector_norm.default", w)
    return p("aten.div.Tensor", w, p("aten.clamp_min.default", size, 1.0))


def power_iteration(p: Program) -> Ref:
    return by_iteration(p, p.parameter(WIDE, WIDTH))


def exponential(p: Program) -> Ref:
    return p("aten.linalg_matrix_exp.default", skew(p))


def cayley(p: Program) -> Ref:
    s, eye = skew(p), p("aten.eye.default", WIDTH, dtype=torch.float64)
    above = p("aten.sub.Tensor", eye, s, alpha=0.5)
    below = p("aten.add.Tensor", eye, s, alpha=0.5)
    return p("aten._linalg_solve_ex.default", below, above)


def product_of_two(p: Program) -> Ref:
    """Bounded matrices one after the other, times a number and a sigmoid."""
    gate = p("aten.sigmoid.default", p.parameter(1))
    first = p("aten.mul.Tensor", exponential(p), gate)
    second = p("aten.neg.default", p("aten.div.Tensor", exponential(p), 0.5))
    return p("aten.t.default", p("aten.mm.default", first, second))


BOUNDED = {
    frobenius: 1.0,
    largest_singular: 0.5,
    cut_to_one: 1.0,
    power_iteration: 1.0,
    exponential: 1.0,
    cayley: 1.0,
    product_of_two: 2.0,
}


@pytest.mark.parametrize("way", BOUNDED, ids=lambda way: way.__name__)
def test_a_matrix_over_its_own_norm_is_bounded(way: Way) -> None:
    p = Program(2)
    matrix = way(p)
    norm = norm_of(p, matrix)
    assert norm is not None
    assert norm.high == BOUNDED[way]
    assert largest(p, matrix) <= norm.high + NEAR


def over_another(p: Program) -> Ref:
    w, other = p.parameter(WIDTH, WIDTH), p.parameter(2, 2)
    return p("aten.div.Tensor", w, p("aten.linalg_vector_norm.default", other))


def over_part(p: Program) -> Ref:
    """Divided by the norm of one of its rows."""
    w = p.parameter(WIDTH, WIDTH)
    row = p("aten.select.int", w, 0, 0)
    return p("aten.div.Tensor", w, p("aten.linalg_vector_norm.default", row))


def over_largest_element(p: Program) -> Ref:
    w = p.parameter(WIDTH, WIDTH)
    return p("aten.div.Tensor", w, p("aten.linalg_vector_norm.default", w, float("inf")))


def over_rows(p: Program) -> Ref:
    """Every row divided by its own length, as weight_norm does."""
    w = p.parameter(WIDTH, WIDTH)
    return p("aten.div.Tensor", w, p("aten.linalg_vector_norm.default", w, 2, [1], True))


def iterated_on_another(p: Program) -> Ref:
    w, other = p.parameter(WIDTH, WIDTH), p.parameter(WIDTH, WIDTH)
    return by_iteration(p, w, p("aten.mul.Tensor", other, 0.1))


def of_any_vector(p: Program) -> Ref:
    return by_iteration(p, p.parameter(WIDTH, WIDTH), own_vectors=False)


def of_reshaped(p: Program) -> Ref:
    """The largest singular value of the same elements in another shape."""
    w = p.parameter(WIDTH, WIDTH)
    tall = p("aten.view.default", w, [WIDTH // 2, WIDTH * 2])
    values = p("aten._linalg_svd.default", tall)
    return p("aten.div.Tensor", w, p("aten.amax.default", p.outputs(values)[1], [-1]))


def smallest_singular(p: Program) -> Ref:
    w = p.parameter(WIDTH, WIDTH)
    values = p.outputs(p("aten._linalg_svd.default", w))[1]
    return p("aten.div.Tensor", w, p("aten.amin.default", values, [-1]))


def exponential_of_any(p: Program) -> Ref:
    return p("aten.linalg_matrix_exp.default", p.parameter(WIDTH, WIDTH))


def exponential_of_sum(p: Program) -> Ref:
    a = p.parameter(WIDTH, WIDTH)
    return p("aten.linalg_matrix_exp.default", p("aten.add.Tensor", a, p("aten.t.default", a)))


def cayley_of_one_sign(p: Program) -> Ref:
    s, eye = skew(p), p("aten.eye.default", WIDTH, dtype=torch.float64)
    above = p("aten.add.Tensor", eye, s, alpha=2.0)
    below = p("aten.add.Tensor", eye, s, alpha=0.5)
    return p("aten._linalg_solve_ex.default", below, above)


def times_weights(p: Program) -> Ref:
    """Every element of a bounded matrix times a weight of its own."""
    return p("aten.mul.Tensor", exponential(p), p.parameter(WIDTH, WIDTH))


def capped_norm(p: Program) -> Ref:
    w = p("aten.mul.Tensor", p.parameter(WIDTH, WIDTH), 9.0)
    size = p("aten.linalg_vector_norm.default", w)
    return p("aten.div.Tensor", w, p("aten.clamp.default", size, 0.1, 1.0))


UNBOUNDED = (
    over_another,
    over_part,
    over_largest_element,
    over_rows,
    iterated_on_another,
    of_any_vector,
    of_reshaped,
    smallest_singular,
    exponential_of_any,
    exponential_of_sum,
    cayley_of_one_sign,
    times_weights,
    capped_norm,
)


@pytest.mark.parametrize("way", UNBOUNDED, ids=lambda way: way.__name__)
def test_another_quotient_bounds_nothing(way: Way) -> None:
    p = Program(8)
    matrix = way(p)
    assert norm_of(p, matrix) is None
    assert largest(p, matrix) > 1 + NEAR


# What a turn makes of a state by bounded matrices.


def turn_of(way: Callable[[Program, Ref], Ref]) -> judge.Turn:
    p = Program(6)
    h = p.state(ROWS, WIDTH)
    out = way(p, h)
    return judge.judge_turn(infer(p)[out], 0)


def shrunk(p: Program, h: Ref, factor: float = 0.5) -> Ref:
    return p("aten.mul.Tensor", p("aten.mm.default", h, exponential(p)), factor)


def test_a_bounded_matrix_times_a_number_below_one_damps() -> None:
    turn = turn_of(shrunk)
    assert turn.transition is Transition.DAMPED
    assert turn.gain is not None
    assert (turn.gain.low, turn.gain.high) == (0.0, 0.5)


def test_an_orthogonal_matrix_carries() -> None:
    assert turn_of(lambda p, h: shrunk(p, h, 1.0)).transition is Transition.CARRIED


def test_a_bounded_matrix_times_a_number_above_one_is_linear() -> None:
    assert turn_of(lambda p, h: shrunk(p, h, 2.0)).transition is Transition.LINEAR


def test_a_skip_beside_a_bounded_matrix_expands() -> None:
    turn = turn_of(lambda p, h: p("aten.add.Tensor", h, shrunk(p, h)))
    assert turn.transition is Transition.EXPANDING


def test_bounded_matrices_around_a_relu_damp() -> None:
    turn = turn_of(lambda p, h: shrunk(p, p("aten.relu.default", shrunk(p, h, 1.0))))
    assert turn.transition is Transition.DAMPED


def test_gates_before_and_after_a_matrix_are_not_multiplied_element_by_element() -> None:
    """(1 - g) M (g x) can reach |x|: each gate may pick the element that the other drops."""

    def gated(p: Program, h: Ref) -> Ref:
        g = p("aten.sigmoid.default", p.parameter(WIDTH))
        rest = p("aten.rsub.Scalar", g, 1.0)
        inner = p("aten.mul.Tensor", h, p("aten.add.Tensor", g, 1.0))
        return p("aten.mul.Tensor", shrunk(p, inner, 1.0), rest)

    turn = turn_of(gated)
    assert turn.transition is Transition.LINEAR


def test_elements_of_the_state_beside_elements_of_its_image_add_up() -> None:
    """Half of x beside half of M x is longer than x where M turns it over."""

    def halves(p: Program, h: Ref) -> Ref:
        image = shrunk(p, h, 1.0)
        parts = [
            p("aten.slice.Tensor", h, 1, 0, WIDTH // 2),
            p("aten.slice.Tensor", image, 1, WIDTH // 2, WIDTH),
        ]
        return p("aten.cat.default", parts, 1)

    assert turn_of(halves).transition not in (Transition.DAMPED, Transition.CARRIED)


def test_a_gated_mix_of_a_state_and_its_image_is_not_bounded_by_either() -> None:
    def mixed(p: Program, h: Ref) -> Ref:
        g = p("aten.sigmoid.default", p.parameter(WIDTH))
        kept = p("aten.mul.Tensor", h, g)
        taken = p("aten.mul.Tensor", shrunk(p, h, 1.0), p("aten.rsub.Scalar", g, 1.0))
        return p("aten.add.Tensor", kept, taken)

    assert turn_of(mixed).transition not in (Transition.DAMPED, Transition.CARRIED)


def test_a_part_of_the_state_and_its_own_image_stay_bounded() -> None:
    """Matrices that act on parts apart from each other make no more of the whole."""

    def blocks(p: Program, h: Ref) -> Ref:
        ends = (0, WIDTH // 2, WIDTH)
        images = []
        for start, stop in pairwise(ends):
            a = p.parameter(stop - start, stop - start)
            s = p("aten.sub.Tensor", a, p("aten.t.default", a))
            matrix = p("aten.linalg_matrix_exp.default", s)
            part = p("aten.slice.Tensor", h, 1, start, stop)
            images.append(p("aten.mul.Tensor", p("aten.mm.default", part, matrix), 0.5))
        return p("aten.cat.default", images, 1)

    assert turn_of(blocks).transition is Transition.DAMPED
