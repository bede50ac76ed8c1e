"""Identity paths through operators that move, replace or bend elements, against numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lawkit.inferring import infer
from lawkit.programs import SCALES, Program
from lawkit.table import Apply, Operation, OperationTable, indices, mask

from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Degree
from scaleaudit.scale import judge

torch.set_num_threads(1)
ROWS, WIDTH = 10, 6
NEAR = 1e-3
CARRIED = Transition.CARRIED
ROUTED = OperationTable()


def branch(p: Program, x: Ref) -> Ref:
    """A branch of degree 0."""
    size = p("aten.linalg_vector_norm.default", x, 2, [-1], True)
    return p("aten.mul.Tensor", p("aten.div.Tensor", x, size), p.parameter(WIDTH))


def moved(p: Program, x: Ref) -> Ref:
    return p("aten.add.Tensor", x, branch(p, x))


@ROUTED.add("aten.index_copy.default")
def rows_copied_back(p: Program, op: str, h: Ref) -> Ref:
    rows = indices(p, ROWS, 4)
    return p(op, h, 0, rows, moved(p, p("aten.index.Tensor", h, [rows])))


@ROUTED.add("aten.index_put.default")
def rows_put_back(p: Program, op: str, h: Ref) -> Ref:
    rows = indices(p, ROWS, 4)
    return p(op, h, [rows], moved(p, p("aten.index_select.default", h, 0, rows)))


@ROUTED.add("aten.masked_scatter.default")
def selected_put_back(p: Program, op: str, h: Ref) -> Ref:
    chosen = mask(p, ROWS, WIDTH)
    picked = p("aten.masked_select.default", h, chosen)
    moved_on = p("aten.add.Tensor", picked, p.parameter(*p.shape(picked)))
    return p(op, h, chosen, p("aten.view.default", moved_on, [-1, 1]))


@ROUTED.add("aten.scatter.src")
def gathered_scattered_back(p: Program, op: str, h: Ref) -> Ref:
    index = indices(p, WIDTH, ROWS, 2)
    picked = p("aten.gather.default", h, 1, index)
    return p(op, h, 1, index, p("aten.add.Tensor", picked, p.parameter(ROWS, 2)))


BENT = OperationTable()


@BENT.add(
    "aten.relu.default", "aten.silu.default", "aten.gelu.default", "aten.mish.default",
    "aten.hardswish.default", "aten.leaky_relu.default", "aten.softplus.default",
    "aten.abs.default", "aten.softshrink.default", "aten.hardshrink.default",
)  # fmt: skip
def function_of_sum(p: Program, op: str, h: Ref) -> Ref:
    return p(op, moved(p, h))


@BENT.add("aten.clamp.default", "aten.clamp_min.default")
def floored(p: Program, op: str, h: Ref) -> Ref:
    return p(op, moved(p, h), 0.5)


@BENT.add("aten.clamp_max.default", "aten.clamp_min.default")
def held_at_zero(p: Program, op: str, h: Ref) -> Ref:
    return p(op, moved(p, h), 0.0)


@BENT.add("aten.maximum.default", "aten.minimum.default")
def beside_a_weight(p: Program, op: str, h: Ref) -> Ref:
    return p(op, moved(p, h), p.parameter(WIDTH))


def turned(way: Apply) -> tuple[judge.Turn, np.ndarray]:
    """What is said of a turn, and by what it multiplies the elements of a long state."""
    p = Program(1)
    h = p.state(ROWS, WIDTH)
    out = way(p, h)
    samples = p.samples((h, out))
    at = SCALES.index(max(SCALES))
    factors = samples[out].values[at] / samples[h].values[at]
    return judge.judge_turn(infer(p)[out], 0), factors


@pytest.mark.parametrize("operation", ROUTED.rows, ids=lambda operation: operation.op)
def test_rows_that_are_moved_and_put_back_are_carried(operation: Operation) -> None:
    turn, factors = turned(operation.apply)
    assert turn.transition is CARRIED
    assert turn.gain is not None
    assert (turn.gain.low, turn.gain.high) == (1.0, 1.0)
    assert np.abs(factors - 1).max() < NEAR


def test_rows_that_are_put_back_elsewhere_are_not_taken_for_the_same() -> None:
    def elsewhere(p: Program, h: Ref) -> Ref:
        picked = p("aten.index_select.default", h, 0, indices(p, ROWS, 4))
        return p("aten.index_copy.default", h, 0, indices(p, ROWS, 4), picked)

    turn, factors = turned(elsewhere)
    assert turn.transition is not CARRIED
    assert np.abs(factors - 1).max() > NEAR


def test_columns_and_rows_at_one_index_are_not_taken_for_the_same() -> None:
    def crossed(p: Program, h: Ref) -> Ref:
        square = p("aten.slice.Tensor", h, 0, 0, WIDTH)
        index = indices(p, WIDTH, WIDTH)
        columns = p("aten.index.Tensor", square, [None, index])
        put = p("aten.index_put.default", square, [index], columns)
        return p("aten.cat.default", [put, p("aten.slice.Tensor", h, 0, WIDTH, ROWS)], 0)

    turn, factors = turned(crossed)
    assert turn.transition is not CARRIED
    assert np.abs(factors - 1).max() > NEAR


@pytest.mark.parametrize("operation", BENT.rows, ids=lambda operation: operation.op)
def test_a_function_that_follows_its_argument_keeps_the_identity_path(operation: Operation) -> None:
    turn, factors = turned(operation.apply)
    assert turn.transition is CARRIED
    assert turn.gain is not None
    assert np.abs(factors).max() <= turn.gain.high + NEAR
    assert np.abs(factors).min() >= turn.gain.low - NEAR
    assert np.abs(factors).max() >= turn.gain.high - NEAR


def test_a_steep_slope_below_zero_expands() -> None:
    turn, factors = turned(lambda p, h: p("aten.leaky_relu.default", moved(p, h), 3.0))
    assert turn.transition is Transition.EXPANDING
    assert turn.gain is not None
    assert np.abs(factors).max() == pytest.approx(turn.gain.high)


def test_a_learned_slope_below_zero_decides() -> None:
    turn, _ = turned(lambda p, h: p("aten._prelu_kernel.default", moved(p, h), p.parameter(1)))
    assert turn.transition is Transition.LINEAR


@pytest.mark.parametrize("op", ["aten.relu.default", "aten.softplus.default", "aten.abs.default"])
def test_a_function_of_a_linear_map_stays_linear(op: str) -> None:
    def mapped(p: Program, h: Ref) -> Ref:
        return p(op, p("aten.mm.default", h, p.parameter(WIDTH, WIDTH)))

    turn, factors = turned(mapped)
    assert turn.transition is Transition.LINEAR
    assert np.abs(factors).max() > 1 + NEAR


def test_what_a_relu_takes_off_its_argument_is_carried() -> None:
    turn, factors = turned(lambda p, h: p("aten.sub.Tensor", h, p("aten.relu.default", h)))
    assert turn.transition is CARRIED
    assert np.abs(factors).max() == 1.0


def test_a_sum_with_its_relu_expands() -> None:
    turn, factors = turned(lambda p, h: p("aten.add.Tensor", h, p("aten.relu.default", h)))
    assert turn.transition is Transition.EXPANDING
    assert turn.gain is not None
    assert (np.abs(factors).min(), np.abs(factors).max()) == (turn.gain.low, turn.gain.high)


def running(p: Program, h: Ref, step: Ref, op: str) -> Ref:
    """An extreme of what came before and of what comes in."""
    return p(op, p("aten.add.Tensor", h, step), p.parameter(ROWS, WIDTH))


@pytest.mark.parametrize(("op", "sign"), [("maximum", -1.0), ("minimum", 1.0)])
@pytest.mark.parametrize("towards_zero", [True, False])
def test_a_running_extreme_is_bounded_where_its_step_leads_back(
    op: str, sign: float, towards_zero: bool
) -> None:
    p = Program(3)
    h = p.state(ROWS, WIDTH)
    size = p("aten.mul.Tensor", p("aten.exp.default", p.parameter(WIDTH)), sign)
    step = size if towards_zero else p("aten.neg.default", size)
    out = running(p, h, step, f"aten.{op}.default")
    found = judge.judge_turn(infer(p)[out], 0).transition
    assert found is (Transition.BOUNDED if towards_zero else CARRIED)


def test_weights_written_where_a_state_says_are_not_the_same_whatever_the_state() -> None:
    p = Program(5)
    places = p("aten.argmax.default", p.state(ROWS, WIDTH), -1, True)
    one_hot = p("aten.scatter.value", p.constant(torch.zeros(ROWS, WIDTH)), 1, places, 1)
    written = infer(p)[one_hot]
    assert written.depends
    assert (written.span.low, written.span.high) == (0.0, 1.0)


def test_all_rows_may_be_overwritten_by_index() -> None:
    p = Program(6)
    h = p.state(ROWS, WIDTH)
    order = p("aten.argsort.default", p("aten.sum.dim_IntList", h, [-1]))
    copied = p("aten.index_copy.default", h, 0, order, branch(p, h))
    assert not infer(p)[copied].growth.attained


@given(st.integers(0, 3), st.integers(1, 3), st.integers(0, 3), st.data())
def test_a_slice_of_states_side_by_side_holds_what_stands_there(
    before: int, rows: int, after: int, data: st.DataObject
) -> None:
    """Constants around a state and another behind: x is found in its places, and only there."""
    p = Program(1)
    x, y = p.state(rows, WIDTH), p.state(2, WIDTH)
    around = [p.parameter(n, WIDTH) for n in (before, after)]
    whole = p("aten.cat.default", [around[0], x, around[1], y], 0)
    written = p("aten.add.Tensor", whole, p.parameter(before + rows + after + 2, WIDTH))
    start = data.draw(st.integers(0, before + rows + after - 1))
    stop = data.draw(st.integers(start + 1, before + rows + after))
    cut = p("aten.slice.Tensor", written, 0, start, stop)
    table = infer(p)
    held, meets = table[cut], max(start, before) < min(stop, before + rows)
    assert held.growth.hi == Degree(int(meets))
    assert len(held.form.parts) == meets
    if (start, stop) == (before, before + rows):
        ((atom, poly),) = held.form.parts.items()
        assert (atom, poly.constant) == (next(iter(table[x].form.parts)), 1.0)
