"""Values that share 1 out along a dim, against their sums; what means of a state do to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.scale import forms, judge
from scaleaudit.scale.interpreter import View

torch.set_num_threads(1)
STREAMS, WIDTH, TURNS = 4, 6, 64
Way = Callable[[Program], Ref]
Step = Callable[[Program, Ref], Ref]


def shared_dim(p: Program, ref: Ref) -> int | None:
    p.state(1)
    return infer(p)[ref].shares


def positive(p: Program) -> Ref:
    return p("aten.exp.default", p.parameter(STREAMS, STREAMS))


def softmax(p: Program, dim: int = -1) -> Ref:
    return p("aten._softmax.default", p.parameter(STREAMS, STREAMS), dim, False)


def over_sum(p: Program, x: Ref, dim: int = -1) -> Ref:
    return p("aten.div.Tensor", x, p("aten.sum.dim_IntList", x, [dim], True))


def sinkhorn(p: Program) -> Ref:
    x = positive(p)
    for dim in (-2, -1, 0, 1):
        x = over_sum(p, x, dim)
    return x


def sinkhorn_of_logarithms(p: Program) -> Ref:
    x = p.parameter(STREAMS, STREAMS)
    for dim in (-2, -1):
        x = p("aten.sub.Tensor", x, p("aten.logsumexp.default", x, [dim], True))
    return p("aten.exp.default", x)


def over_norm_of_order_one(p: Program) -> Ref:
    x = p("aten.abs.default", p.parameter(STREAMS, STREAMS))
    size = p("aten.linalg_vector_norm.default", x, 1, [-1], True)
    size = p("aten.clamp_min.default", p("aten.detach.default", size), 1e-12)
    return p("aten.div.Tensor", x, p("aten.expand.default", size, [STREAMS, STREAMS]))


def over_sum_and_a_bit(p: Program) -> Ref:
    x = p("aten.relu.default", p.parameter(STREAMS, STREAMS))
    total = p("aten.sum.dim_IntList", x, [-1], True)
    return p("aten.div.Tensor", x, p("aten.add.Tensor", total, 1e-6))


def exponential_of_log_softmax(p: Program) -> Ref:
    x = p("aten._log_softmax.default", p.parameter(STREAMS, STREAMS), 1, False)
    return p("aten.exp.default", x)


def rearranged(p: Program) -> Ref:
    """Columns become rows and go through more dims and back."""
    x = p("aten.transpose.int", softmax(p, 0), 0, 1)
    x = p("aten.permute.default", p("aten.unsqueeze.default", x, 0), [1, 2, 0])
    x = p("aten.expand.default", x, [STREAMS, STREAMS, 3])
    x = p("aten.permute.default", p("aten.clone.default", x), [2, 0, 1])
    x = p("aten.view.default", x, [3, 2, STREAMS // 2, STREAMS])
    return p("aten.reshape.default", x, [3 * STREAMS, STREAMS])


def product_of_two(p: Program) -> Ref:
    return p("aten.mm.default", softmax(p), sinkhorn(p))


ROWS = (
    softmax,
    sinkhorn,
    sinkhorn_of_logarithms,
    over_norm_of_order_one,
    over_sum_and_a_bit,
    exponential_of_log_softmax,
    rearranged,
    product_of_two,
)


@pytest.mark.parametrize("way", ROWS, ids=lambda way: way.__name__)
def test_rows_of_shares_are_never_negative_and_add_up_to_one(way: Way) -> None:
    p = Program(3)
    shares = way(p)
    assert shared_dim(p, shares) == -1
    assert bool((p.value(shares) >= 0).all())
    assert p.value(shares).sum(-1).numpy() == pytest.approx(1.0, abs=1e-5)


def of_either_sign(p: Program) -> Ref:
    return over_sum(p, p.parameter(STREAMS, STREAMS))


def over_sums_of_the_other_dim(p: Program) -> Ref:
    """The sums are those of rows, and are taken for those of columns."""
    x = positive(p)
    total = p("aten.sum.dim_IntList", x, [-1], True)
    return p("aten.div.Tensor", x, p("aten.view.default", total, [1, STREAMS]))


def over_sums_without_a_dim(p: Program) -> Ref:
    x = positive(p)
    return p("aten.div.Tensor", x, p("aten.sum.dim_IntList", x, [-1], False))


def over_the_sum_of_another(p: Program) -> Ref:
    total = p("aten.sum.dim_IntList", positive(p), [-1], True)
    return p("aten.div.Tensor", positive(p), total)


def over_the_sum_of_its_transpose(p: Program) -> Ref:
    x = positive(p)
    total = p("aten.sum.dim_IntList", p("aten.t.default", x), [-1], True)
    return p("aten.div.Tensor", x, total)


def over_the_euclidean_norm(p: Program) -> Ref:
    x = positive(p)
    return p("aten.div.Tensor", x, p("aten.linalg_vector_norm.default", x, 2, [-1], True))


def over_a_capped_sum(p: Program) -> Ref:
    x = positive(p)
    total = p("aten.sum.dim_IntList", x, [-1], True)
    return p("aten.div.Tensor", x, p("aten.clamp_max.default", total, 0.5))


def rounded_quotient(p: Program) -> Ref:
    x = positive(p)
    total = p("aten.sum.dim_IntList", x, [-1], True)
    return p("aten.div.Tensor_mode", x, total, rounding_mode="floor")


def twice(p: Program) -> Ref:
    return p("aten.mul.Tensor", softmax(p), 2.0)


def turned_negative(p: Program) -> Ref:
    return p("aten.neg.default", softmax(p))


def columns(p: Program) -> Ref:
    return softmax(p, 0)


def folded(p: Program) -> Ref:
    return p("aten.view.default", softmax(p), [STREAMS * 2, STREAMS // 2])


def spread_out(p: Program) -> Ref:
    """Shares of one alone, repeated."""
    x = p("aten._softmax.default", p.parameter(STREAMS, 1), -1, False)
    return p("aten.expand.default", x, [STREAMS, STREAMS])


def exponential_less_another_sum(p: Program) -> Ref:
    x = p.parameter(STREAMS, STREAMS)
    total = p("aten.logsumexp.default", p.parameter(STREAMS, STREAMS), [-1], True)
    return p("aten.exp.default", p("aten.sub.Tensor", x, total))


def exponential_less_half_of_the_sum(p: Program) -> Ref:
    x = p.parameter(STREAMS, STREAMS)
    total = p("aten.logsumexp.default", x, [-1], True)
    return p("aten.exp.default", p("aten.sub.Tensor", x, total, alpha=0.5))


def product_of_rows_and_columns(p: Program) -> Ref:
    return p("aten.mm.default", softmax(p), softmax(p, 0))


def product_of_batches(p: Program) -> Ref:
    """Each matrix is a share of the batch; their products add up to nothing known."""
    x, y = (p("aten._softmax.default", p.parameter(2, 3, 3), 0, False) for _ in range(2))
    out = p("aten.bmm.default", x, y)
    assert shared_dim(p, out) is None
    return out


OTHERS = (
    product_of_batches,
    of_either_sign,
    over_sums_of_the_other_dim,
    over_sums_without_a_dim,
    over_the_sum_of_another,
    over_the_sum_of_its_transpose,
    over_the_euclidean_norm,
    over_a_capped_sum,
    rounded_quotient,
    twice,
    turned_negative,
    columns,
    folded,
    spread_out,
    exponential_less_another_sum,
    exponential_less_half_of_the_sum,
    product_of_rows_and_columns,
)


@pytest.mark.parametrize("way", OTHERS, ids=lambda way: way.__name__)
def test_what_does_not_add_up_along_rows_is_not_said_to(way: Way) -> None:
    p = Program(8)
    other = way(p)
    assert shared_dim(p, other) != -1
    value = p.value(other)
    shares = bool((value >= 0).all()) and bool(((value.sum(-1) - 1).abs() < 1e-5).all())
    assert not shares


# What a turn makes of streams.


def growth_of(step: Step) -> tuple[judge.Turn, float]:
    """The verdict on a turn, and what a turn does to the largest element in the long run."""
    p = Program(6)
    h = p.state(STREAMS, WIDTH)
    out = step(p, h)
    turn = judge.judge_turn(infer(p)[out], 0)
    fresh, sizes = p.value(h).clone(), []
    for _ in range(TURNS):
        p.value(h).copy_(p.run(1.0)[out.node][out.output])
        sizes.append(float(p.value(h).abs().max()))
    p.value(h).copy_(fresh)
    return turn, (sizes[-1] / sizes[TURNS // 2 - 1]) ** (2 / TURNS)


def by_rows(p: Program, h: Ref) -> Ref:
    return p("aten.mm.default", softmax(p), h)


def from_the_right(p: Program, h: Ref) -> Ref:
    turned = p("aten.mm.default", p("aten.t.default", h), softmax(p, 0))
    return p("aten.t.default", turned)


def by_a_linear_map(p: Program, h: Ref) -> Ref:
    return p("aten.t.default", p("aten.linear.default", p("aten.t.default", h), softmax(p)))


def by_a_weighted_sum(p: Program, h: Ref) -> Ref:
    shares = p("aten.unsqueeze.default", softmax(p), -1)
    product = p("aten.mul.Tensor", shares, p("aten.unsqueeze.default", h, 0))
    return p("aten.sum.dim_IntList", product, [1])


def by_what_the_state_says(p: Program, h: Ref) -> Ref:
    """Streams attend to each other by their directions."""
    size = p("aten.linalg_vector_norm.default", h, 2, [-1], True)
    u = p("aten.div.Tensor", h, size)
    scores = p("aten.mm.default", u, p("aten.t.default", u))
    return p("aten.mm.default", p("aten._softmax.default", scores, -1, False), h)


def by_raw_scores(p: Program, h: Ref) -> Ref:
    """The larger the streams, the closer to a choice of one; every choice is a mean."""
    scores = p("aten.mm.default", h, p("aten.t.default", h))
    return p("aten.mm.default", p("aten._softmax.default", scores, -1, False), h)


def half_and_half(p: Program, h: Ref) -> Ref:
    mixed = p("aten.mul.Tensor", by_rows(p, h), 0.5)
    return p("aten.add.Tensor", mixed, p("aten.mul.Tensor", h, 0.5))


def gated(p: Program, h: Ref) -> Ref:
    gate = p("aten.sigmoid.default", p.parameter(STREAMS, WIDTH))
    kept = p("aten.mul.Tensor", h, gate)
    return p(
        "aten.add.Tensor", kept, p("aten.mul.Tensor", by_rows(p, h), p("aten.rsub.Scalar", gate, 1))
    )


def twice_over(p: Program, h: Ref) -> Ref:
    return by_rows(p, by_a_weighted_sum(p, h))


CARRYING = (
    by_rows,
    from_the_right,
    by_a_linear_map,
    by_a_weighted_sum,
    by_what_the_state_says,
    by_raw_scores,
    half_and_half,
    gated,
    twice_over,
)


@pytest.mark.parametrize("step", CARRYING, ids=lambda step: step.__name__)
def test_a_mean_of_streams_carries_them(step: Step) -> None:
    turn, factor = growth_of(step)
    assert turn.transition is Transition.CARRIED
    assert turn.gain is not None
    assert (turn.gain.low, turn.gain.high) == (1.0, 1.0)
    assert factor == pytest.approx(1.0, abs=1e-3)


def test_a_part_of_a_mean_damps() -> None:
    turn, factor = growth_of(lambda p, h: p("aten.mul.Tensor", by_rows(p, h), 0.75))
    assert turn.transition is Transition.DAMPED
    assert factor == pytest.approx(0.75, abs=1e-4)


def test_a_gate_below_one_before_a_mean_damps() -> None:
    def gated_before(p: Program, h: Ref) -> Ref:
        gate = p("aten.sigmoid.default", p.parameter(STREAMS, WIDTH))
        return by_rows(p, p("aten.mul.Tensor", h, gate))

    turn, factor = growth_of(gated_before)
    assert turn.transition is Transition.DAMPED
    assert factor < 1


def test_a_skip_around_a_mean_doubles() -> None:
    turn, factor = growth_of(lambda p, h: p("aten.add.Tensor", h, by_rows(p, h)))
    assert turn.transition is Transition.EXPANDING
    assert turn.gain is not None
    assert (turn.gain.low, turn.gain.high) == (2.0, 2.0)
    assert factor == pytest.approx(2.0, abs=1e-4)


def test_what_is_left_of_a_stream_without_the_mean_can_double() -> None:
    """Two streams that swap places change their signs at every turn: x - P x = 2 x."""
    turn, _ = growth_of(lambda p, h: p("aten.sub.Tensor", h, by_rows(p, h)))
    assert turn.gain is not None
    assert turn.gain.high == 2.0
    assert turn.transition not in (Transition.CARRIED, Transition.DAMPED)


def test_gates_before_and_after_a_mean_are_not_multiplied_element_by_element() -> None:
    """(1 - g) P (g x) can reach |x|: each gate may pick the element that the other drops."""

    def around(p: Program, h: Ref) -> Ref:
        gate = p("aten.sigmoid.default", p.parameter(STREAMS, WIDTH))
        inner = by_rows(p, p("aten.mul.Tensor", h, gate))
        return p("aten.mul.Tensor", inner, p("aten.rsub.Scalar", gate, 1.0))

    turn, _ = growth_of(around)
    assert turn.gain is not None
    assert turn.gain.high == 1.0


def test_shares_of_another_dim_bound_nothing() -> None:
    """All streams on one, and that one on all: both are sums of up to every stream."""
    turn, _ = growth_of(lambda p, h: p("aten.mm.default", softmax(p, 0), h))
    assert turn.transition is Transition.LINEAR
    assert turn.gain is None


def test_a_sum_over_more_than_the_shares_is_no_mean() -> None:
    def everything(p: Program, h: Ref) -> Ref:
        shares = p("aten.unsqueeze.default", softmax(p), -1)
        product = p("aten.mul.Tensor", shares, p("aten.unsqueeze.default", h, 0))
        return p("aten.sum.dim_IntList", product, [0, 1])

    turn, _ = growth_of(lambda p, h: p("aten.expand.default", everything(p, h), [STREAMS, WIDTH]))
    assert turn.gain is None


def test_the_same_share_of_every_stream_is_no_mean() -> None:
    """Shares of one alone, spread over what they multiply."""

    def spread(p: Program, h: Ref) -> Ref:
        one = p("aten._softmax.default", p.parameter(STREAMS, 1, 1), 1, False)
        product = p("aten.mul.Tensor", one, p("aten.unsqueeze.default", h, 0))
        return p("aten.sum.dim_IntList", product, [1])

    turn, factor = growth_of(spread)
    assert turn.gain is None
    assert factor == pytest.approx(STREAMS, abs=1e-4)


def test_a_mean_and_a_rotation_are_bounded_by_no_common_length() -> None:
    def both(p: Program, h: Ref) -> Ref:
        a = p.parameter(WIDTH, WIDTH)
        skew = p("aten.sub.Tensor", a, p("aten.t.default", a))
        turned = p("aten.mm.default", h, p("aten.linalg_matrix_exp.default", skew))
        return by_rows(p, turned)

    def beside(p: Program, h: Ref) -> Ref:
        a = p.parameter(WIDTH, WIDTH)
        skew = p("aten.sub.Tensor", a, p("aten.t.default", a))
        turned = p("aten.mm.default", h, p("aten.linalg_matrix_exp.default", skew))
        halves = (p("aten.mul.Tensor", x, 0.5) for x in (turned, by_rows(p, h)))
        return p("aten.add.Tensor", *halves)

    for step in (both, beside):
        turn, _ = growth_of(step)
        assert turn.transition not in (Transition.CARRIED, Transition.DAMPED)


def test_what_is_mixed_in_with_the_streams_stays_bounded() -> None:
    def written(p: Program, h: Ref) -> Ref:
        write = p("aten.tanh.default", p.parameter(STREAMS, WIDTH))
        return by_rows(p, p("aten.add.Tensor", h, write))

    p = Program(6)
    h = p.state(STREAMS, WIDTH)
    out = written(p, h)
    turn = judge.judge_turn(infer(p)[out], 0)
    assert turn.transition is Transition.CARRIED
    assert turn.writes_bounded


# What is divided between several states, or several turns of one.


def held(p: Program, count: int = 3) -> list[Ref]:
    return [p.state(STREAMS, WIDTH) for _ in range(count)]


def gain_of(p: Program, out: Ref) -> tuple[float, float, bool]:
    """The magnitudes that a value has of all states together."""
    total = forms.total_span(infer(p)[out].form.parts.values())
    return total.low, total.high, total.high_open


def largest_of(p: Program, out: Ref, states: list[Ref]) -> float:
    """The largest element that is made of states whose elements are all 1, and nothing else."""
    for state in states:
        p.value(state).fill_(1.0)
    return float(p.run(1.0)[out.node][out.output].abs().max())


def stacked(p: Program, states: list[Ref], dim: int = 0) -> Ref:
    return p("aten.stack.default", states, dim)


def of_a_stack(p: Program, states: list[Ref]) -> Ref:
    """As einsum does it: the stack is flattened, and the mean gets its shape back."""
    w = p("aten.view.default", p("aten._softmax.default", p.parameter(3), 0, False), [1, 3])
    rows = p("aten.view.default", stacked(p, states), [3, STREAMS * WIDTH])
    return p("aten.view.default", p("aten.mm.default", w, rows), [STREAMS, WIDTH])


def of_a_stack_by_weights(p: Program, states: list[Ref]) -> Ref:
    w = p("aten._softmax.default", p.parameter(STREAMS, 1, 3), -1, False)
    stack = p("aten.permute.default", stacked(p, states), [1, 2, 0])
    return p("aten.sum.dim_IntList", p("aten.mul.Tensor", w, stack), [-1])


def one_by_one(p: Program, states: list[Ref], taken: int = 3) -> Ref:
    w = p("aten._softmax.default", p.parameter(3), 0, False)
    products = [
        p("aten.mul.Tensor", state, p("aten.select.int", w, 0, i - 3))
        for i, state in enumerate(states[:taken])
    ]
    total = products[0]
    for product in products[1:]:
        total = p("aten.add.Tensor", total, product)
    return total


def of_unbound(p: Program, states: list[Ref]) -> Ref:
    w = p("aten.unbind.int", p("aten._softmax.default", p.parameter(3, WIDTH), 0, False), 0)
    first, *others = (p("aten.mul.Tensor", s, o) for s, o in zip(states, p.outputs(w), strict=True))
    for product in others:
        first = p("aten.add.Tensor", first, product)
    return first


def mixed_again(p: Program, states: list[Ref]) -> Ref:
    return by_rows(p, of_a_stack_by_weights(p, states))


DIVIDED = (of_a_stack, of_a_stack_by_weights, one_by_one, of_unbound, mixed_again)


@pytest.mark.parametrize("way", DIVIDED, ids=lambda way: way.__name__)
def test_a_mean_of_states_is_no_larger_than_the_largest(way: Callable) -> None:
    p = Program(11)
    states = held(p)
    out = way(p, states)
    _, high, is_open = gain_of(p, out)
    assert (high, is_open) == (1.0, False)
    assert largest_of(p, out, states) == pytest.approx(1.0)


def test_some_of_the_shares_are_less_than_all() -> None:
    p = Program(11)
    states = held(p)
    out = one_by_one(p, states, taken=2)
    assert gain_of(p, out)[1:] == (1.0, True)
    assert largest_of(p, out, states) < 1


def test_shares_of_one_state_are_added_up() -> None:
    p = Program(11)
    (h,) = held(p, 1)
    out = one_by_one(p, [h, h, h])
    assert gain_of(p, out)[1:] == (1.0, False)
    assert largest_of(p, out, [h]) == pytest.approx(1.0)


def test_the_same_share_twice_is_twice_the_share() -> None:
    p = Program(11)
    (h,) = held(p, 1)
    w = p("aten._softmax.default", p.parameter(3), 0, False)
    one, same = (p("aten.mul.Tensor", h, p("aten.select.int", w, 0, index)) for index in (0, 0))
    assert gain_of(p, p("aten.add.Tensor", one, same))[1] == 2.0


def test_shares_of_several_wholes_are_not_divided() -> None:
    p = Program(11)
    states = held(p)
    out = p("aten.add.Tensor", one_by_one(p, states, taken=1), one_by_one(p, states[1:], taken=1))
    assert gain_of(p, out)[1] == 2.0


def test_products_of_shares_are_bounded_by_each() -> None:
    """9 w v is 9/4 where both are a half, and 0 where one of them is everything."""
    p = Program(11)
    (h,) = held(p, 1)
    w = p("aten._softmax.default", p("aten.mul.Tensor", p.parameter(2), 0.0), 0, False)
    for index in (0, 1):
        h = p("aten.mul.Tensor", h, p("aten.mul.Tensor", p("aten.select.int", w, 0, index), 3.0))
    _, high, _ = gain_of(p, h)
    assert largest_of(p, h, p.states) == pytest.approx(9 / 4)
    assert high >= 9 / 4


def test_a_mean_of_sums_of_states_counts_all_of_them() -> None:
    p = Program(11)
    first, second, third = held(p)
    pair = p("aten.add.Tensor", first, second)
    out = of_a_stack(p, [pair, third, pair])
    _, high, _ = gain_of(p, out)
    assert high >= 2.0
    assert largest_of(p, p("aten.clone.default", out), p.states) > 1.0


def test_shares_in_different_places_are_not_divided() -> None:
    """Means of a stack, and of the same stack rolled: every place may have two whole shares."""
    p = Program(11)
    states = held(p, 2)
    w = p("aten._softmax.default", p.parameter(2, STREAMS, WIDTH), 0, False)
    first, second = (
        p("aten.mul.Tensor", s, p("aten.select.int", w, 0, i)) for i, s in enumerate(states)
    )
    rolled = p("aten.roll.default", second, [1], [0])
    assert gain_of(p, p("aten.add.Tensor", first, rolled))[1] == 2.0


def test_a_stack_along_another_dim_is_mixed_within_each() -> None:
    p = Program(11)
    states = held(p, STREAMS)
    w = p("aten._softmax.default", p.parameter(1, STREAMS, 1), 1, False)
    out = p("aten.sum.dim_IntList", p("aten.mul.Tensor", w, stacked(p, states)), [1])
    found = infer(p)[out]
    assert all(atom.state is None for atom in found.form.parts)


def test_gradients_do_not_flow_through_a_stopped_mean() -> None:
    p = Program(11)
    states = held(p)
    stack = stacked(p, states)
    w = p("aten._softmax.default", p.parameter(3, 1, 1), 0, False)
    p.grad = False
    product = p("aten.mul.Tensor", w, stack)
    p.grad = True
    weighed = p("aten.sum.dim_IntList", product, [0])
    stopped = p("aten.mul.Tensor", w, p("aten.detach.default", stack))
    detached = p("aten.sum.dim_IntList", stopped, [0])
    rows = p("aten.detach.default", p("aten.view.default", stack, [3, STREAMS * WIDTH]))
    flat = p("aten.mm.default", p("aten.view.default", w, [1, 3]), rows)
    for out in (weighed, detached, flat):
        found = infer(p, View.GRADIENT)[out]
        assert not found.depends
        assert not any(atom.state is not None for atom in found.form.parts)


def test_a_share_is_learned_but_cannot_be_trained_beyond_one() -> None:
    for factor, learned in ((1.0, False), (1.5, True)):
        p = Program(11)
        (h,) = held(p, 1)
        out = p("aten.mul.Tensor", one_by_one(p, [h], taken=1), factor)
        assert judge.judge_turn(infer(p)[out], 0).learned is learned
