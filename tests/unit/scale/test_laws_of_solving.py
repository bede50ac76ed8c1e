"""Linear systems whose matrix the laws cannot tell."""

from __future__ import annotations

import torch
from lawkit.inferring import infer
from lawkit.programs import Program

SIZE = 5


def test_the_inverse_of_a_sum_with_a_constant_is_unknown() -> None:
    p = Program(0)
    h = p.state(SIZE, 1)
    square = p("aten.mm.default", h, p("aten.t.default", h))
    a = p("aten.add.Tensor", square, p.constant(torch.eye(SIZE, dtype=torch.float64)))
    x = p("aten.linalg_solve.default", a, p.parameter(SIZE, 1))
    assert infer(p)[x].opaque


def test_ones_on_the_diagonal_beside_the_state_are_unknown() -> None:
    p = Program(0)
    a, b = p.state(SIZE, SIZE), p.parameter(SIZE, 1)
    x = p("aten.linalg_solve_triangular.default", a, b, upper=True, unitriangular=True)
    assert infer(p)[x].opaque
