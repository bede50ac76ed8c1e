"""Values that are joined side by side are theirs again where they are picked or added up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import CONSTANT, Atom, Interval, Poly
from scaleaudit.scale import forms
from scaleaudit.scale.judge import judge_pile

torch.set_num_threads(1)
ROWS, WIDTH = 3, 4
Way = Callable[[Program, list[Ref]], Ref]


def held(p: Program) -> list[Ref]:
    return [p.state(ROWS, WIDTH) for _ in range(3)]


def factors(p: Program, out: Ref) -> list[tuple[float, float]]:
    """The range of the factor of every state in a value, in order; none where it is no sum."""
    parts = infer(p)[out].form.parts
    found = {atom.state: forms.poly_span(poly) for atom, poly in parts.items()}
    return [(found[i].low, found[i].high) for i in range(3)] if None not in found else []


def summed(p: Program, x: Ref, dim: int = 0) -> Ref:
    return p("aten.sum.dim_IntList", x, [dim])


def stack(p: Program, states: list[Ref], dim: int = 0) -> Ref:
    return p("aten.stack.default", states, dim)


def of_joined_rows(p: Program, states: list[Ref]) -> Ref:
    return summed(p, p("aten.cat.default", [p("aten.unsqueeze.default", s, 0) for s in states]))


def of_joined_columns(p: Program, states: list[Ref]) -> Ref:
    each = [p("aten.unsqueeze.default", s, -1) for s in states]
    return summed(p, p("aten.cat.default", each, -1), -1)


def of_joined_features(p: Program, states: list[Ref]) -> Ref:
    joint = p("aten.cat.default", states, -1)
    return summed(p, p("aten.view.default", joint, [ROWS, 3, WIDTH]), 1)


def of_the_running_sum(p: Program, states: list[Ref]) -> Ref:
    return p("aten.select.int", p("aten.cumsum.default", stack(p, states), 0), 0, -1)


def of_two_slices(p: Program, states: list[Ref]) -> Ref:
    joint = stack(p, states, 1)
    first = summed(p, p("aten.slice.Tensor", joint, 1, 0, 2), 1)
    return p("aten.add.Tensor", first, summed(p, p("aten.slice.Tensor", joint, 1, -1), 1))


def of_what_is_picked(p: Program, states: list[Ref]) -> Ref:
    first, *others = p.outputs(p("aten.unbind.int", stack(p, states, 2), 2))
    for each in others:
        first = p("aten.add.Tensor", first, each)
    return first


SUMS = (
    of_joined_rows,
    of_joined_columns,
    of_joined_features,
    of_the_running_sum,
    of_two_slices,
    of_what_is_picked,
)


@pytest.mark.parametrize("way", SUMS, ids=lambda way: way.__name__)
def test_what_is_joined_and_added_up_is_the_sum(way: Way) -> None:
    p = Program(3)
    states = held(p)
    out = way(p, states)
    assert factors(p, out) == [(1.0, 1.0)] * 3
    plain = sum(p.value(state) for state in states)
    assert torch.equal(p.value(out), plain)


def test_a_mean_of_a_stack_has_a_share_of_each() -> None:
    p = Program(3)
    out = p("aten.mean.dim", stack(p, held(p)), [0])
    assert factors(p, out) == [(pytest.approx(1 / 3),) * 2] * 3


def by_scalars(p: Program, states: list[Ref]) -> Ref:
    return summed(p, p("aten.mul.Tensor", p.parameter(3, 1, 1), stack(p, states)))


def by_a_row(p: Program, states: list[Ref]) -> Ref:
    rows = p("aten.view.default", stack(p, states), [3, ROWS * WIDTH])
    return p("aten.mm.default", p.parameter(1, 3), rows)


def by_a_column(p: Program, states: list[Ref]) -> Ref:
    joint = p("aten.view.default", stack(p, states, -1), [ROWS * WIDTH, 3])
    return p("aten.mm.default", joint, p.parameter(3, 1))


def by_a_vector(p: Program, states: list[Ref]) -> Ref:
    joint = p("aten.view.default", stack(p, states, -1), [ROWS * WIDTH, 3])
    return p("aten.mv.default", joint, p.parameter(3))


@pytest.mark.parametrize("way", [by_scalars, by_a_row, by_a_column, by_a_vector])
def test_weights_that_may_be_anything_are_factors_of_each(way: Way) -> None:
    p = Program(3)
    out = way(p, held(p))
    assert factors(p, out) == [(-float("inf"), float("inf"))] * 3


def other_sums(p: Program, states: list[Ref]) -> Ref:
    """Over another dim than that of the stack."""
    return summed(p, stack(p, states), 1)


def several_rows(p: Program, states: list[Ref]) -> Ref:
    """Several sums at once, with weights of their own."""
    rows = p("aten.view.default", stack(p, states), [3, ROWS * WIDTH])
    return p("aten.mm.default", p.parameter(2, 3), rows)


def across_the_features(p: Program, states: list[Ref]) -> Ref:
    """A view that cuts through the values."""
    joint = p("aten.cat.default", states, -1)
    return summed(p, p("aten.view.default", joint, [ROWS, WIDTH, 3]), 1)


@pytest.mark.parametrize("way", [other_sums, several_rows, across_the_features])
def test_what_adds_up_other_things_is_no_sum_of_the_values(way: Way) -> None:
    p = Program(3)
    assert factors(p, way(p, held(p))) == []


def test_a_slice_leaves_the_others_out() -> None:
    p = Program(3)
    out = summed(p, p("aten.slice.Tensor", stack(p, held(p)), 0, 1))
    found = infer(p)[out].form.parts
    assert {atom.state for atom in found} == {1, 2}


# A list of what turns made, added up.


def number(value: float) -> Poly:
    return Poly({(): value})


def learned(low: float, high: float) -> Poly:
    atom = Atom(CONSTANT, Interval(low, high, low_open=True, high_open=True), learned=True)
    return Poly({(atom,): 1.0})


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("pile", "kept"),
    [
        ([number(1.0)] * 3, Transition.CARRIED),
        ([number(1.0), number(2.0), number(4.0)], Transition.CARRIED),
        ([number(0.5)] * 3, Transition.CARRIED),
        ([learned(0.0, 1.0) for _ in range(3)], Transition.CARRIED),
        ([learned(-INFINITE, INFINITE) for _ in range(3)], Transition.LINEAR),
        ([number(0.25)] * 3, None),
        ([number(0.25), number(0.5), number(1.0)], None),
        ([learned(0.0, 1.0), learned(0.0, 1.0), number(1.0)], None),
        ([], None),
    ],
)
def test_a_pile_is_kept_unless_it_is_a_mean_or_fades(
    pile: list[Poly], kept: Transition | None
) -> None:
    found = judge_pile(pile)
    assert (found.transition if found else None) is kept
