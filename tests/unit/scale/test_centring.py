"""What is left of a value without its mean: how long it is, and what its own mean is, by numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import (
    CONSTANT,
    LINEAR,
    REALS,
    ZERO,
    Atom,
    Degree,
    Form,
    Growth,
    Poly,
    Scale,
)
from scaleaudit.scale import judge
from scaleaudit.scale.centring import centred_dims, without_centred

torch.set_num_threads(1)
ROWS, WIDTH = 10, 6


def centred(p: Program, x: Ref, dim: int = -1, factor: float = 1.0) -> Ref:
    mean = p("aten.mean.dim", x, [dim], True)
    return p("aten.sub.Tensor", x, mean, alpha=factor)


def standardised(p: Program, x: Ref) -> Ref:
    return p("aten.div.Tensor", centred(p, x), p("aten.std.correction", x, [-1], keepdim=True))


CENTRED: dict[str, tuple[Callable[[Program, Ref], Ref], set[int]]] = {
    "last": (centred, {-1}),
    "first": (lambda p, x: centred(p, x, 0), {-2}),
    "standardised": (standardised, {-1}),
    "all": (lambda p, x: p("aten.sub.Tensor", x, p("aten.mean.default", x)), {-1, -2}),
    "layer norm": (lambda p, x: p("aten.native_layer_norm.default", x, [WIDTH], None, None, 0.1), {-1}),
    "half the mean": (lambda p, x: centred(p, x, -1, 0.5), set()),
    "another mean": (lambda p, x: p("aten.sub.Tensor", x, p("aten.mean.dim", p.parameter(ROWS, WIDTH), [-1], True)), set()),
    "with a gain": (lambda p, x: p("aten.mul.Tensor", centred(p, x), p.parameter(WIDTH)), set()),
    "row by row": (lambda p, x: p("aten.mul.Tensor", centred(p, x), p.parameter(ROWS, 1)), {-1}),
    "divided into": (lambda p, x: p("aten.div.Tensor", p.parameter(ROWS, 1), centred(p, x)), set()),
}  # fmt: skip


@pytest.mark.parametrize("name", CENTRED)
def test_centred_values_add_up_to_nothing(name: str) -> None:
    make, expected = CENTRED[name]
    p = Program(4)
    out = make(p, p.state(ROWS, WIDTH))
    dims = centred_dims(p.graph(), out)
    assert dims == expected
    value = p.value(out)
    value = value[0] if isinstance(value, tuple) else value
    over = sorted(dims) or [-1]
    assert (value.sum(over).abs().max().item() < 1e-9) == bool(expected)


def turn_of(p: Program, out: Ref) -> judge.Turn:
    return judge.judge_turn(infer(p)[out], 0)


def test_centring_makes_nothing_longer() -> None:
    p = Program(2)
    h = p.state(ROWS, WIDTH)
    turn = turn_of(p, centred(p, p("aten.add.Tensor", h, p.parameter(ROWS, WIDTH))))
    assert turn.transition is Transition.CARRIED
    assert turn.gain is not None
    assert turn.gain.high == 1.0


def test_taking_a_multiple_of_the_mean_may_make_it_longer() -> None:
    p = Program(2)
    out = centred(p, p.state(ROWS, WIDTH), -1, 3.0)
    assert turn_of(p, out).transition is not Transition.CARRIED


@pytest.mark.parametrize(("dims", "degree_is_zero"), [({-1}, True), ({-2}, False)])
def test_a_centred_state_leaves_nothing_in_a_mean(dims: set[int], *, degree_is_zero: bool) -> None:
    atom = Atom(LINEAR, REALS, state=0, centred=frozenset({-1}))
    gate = Atom(Growth(), REALS)
    form = Form({atom: Poly({(): 1.0})}, Poly({(gate,): 1.0}))
    left = without_centred(Scale(LINEAR, shape=(ROWS, WIDTH), given=form), frozenset(dims))
    assert (left.growth.hi == ZERO) == degree_is_zero


def test_what_rounding_leaves_of_a_mean_is_not_called_independent() -> None:
    atom = Atom(LINEAR, REALS, state=0, centred=frozenset({-1}))
    form = Form({atom: Poly({(): 1.0})}, Poly())
    left = without_centred(Scale(LINEAR, shape=(ROWS, WIDTH), given=form), frozenset({-1}))
    assert left.growth != CONSTANT
    assert not left.growth.attained
    assert left.growth.lo < ZERO


@pytest.mark.parametrize(("dim", "degree"), [(-1, ZERO), (-2, Degree(1))])
def test_what_is_added_to_a_centred_value_is_all_that_its_mean_is_of(
    dim: int, degree: Degree
) -> None:
    p = Program(4)
    h = p.state(ROWS, WIDTH)
    out = p("aten.add.Tensor", centred(p, h), p("aten.tanh.default", h))
    mean = p("aten.mean.dim", out, [dim])
    assert infer(p)[mean].growth.hi == degree
    rows = p.run(1e6)[mean.node][mean.output]
    assert (float(rows.abs().max()) < 2) == (degree == ZERO)
