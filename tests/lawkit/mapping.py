"""Calls of matrix products, convolutions, attention, embeddings, and of what makes constants."""

from __future__ import annotations

import torch

from lawkit.programs import BASE_SHAPE, Program
from lawkit.table import OperationTable, fit, grid, indices, magnitude, matrix, vector
from scaleaudit.domain.graph import Ref

TABLE = OperationTable()


@TABLE.add("aten.mm.default")
def projected(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, x, p.parameter(p.shape(x)[1], 4))


@TABLE.add("aten.matmul.default", "aten.linear.default")
def named_projection(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    width = p.shape(x)[-1]
    if "linear" in op:
        return p(op, x, p.parameter(4, width), p.parameter(4) if p.random.random() < 0.5 else None)
    return p(op, x, p.parameter(width, 4))


@TABLE.add("aten.mm.default", arity=2)
def product(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, x, p("aten.t.default", fit(p, y, *p.shape(x))))


@TABLE.add("aten.mm.default", common=False)
def projecting(p: Program, op: str, x: Ref) -> Ref:
    """W h: the state on the right."""
    x = matrix(p, x)
    return p(op, p.parameter(4, p.shape(x)[0]), x)


@TABLE.add("aten.bmm.default", "aten.matmul.default", arity=2)
def batched_product(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, p("aten.transpose.int", fit(p, y, *p.shape(x)), 1, 2))


@TABLE.add("aten.bmm.default")
def batched_projection(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, p.parameter(p.shape(x)[0], p.shape(x)[2], 4))


@TABLE.add("aten.mv.default", common=False)
def matrix_vector(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, x, p.parameter(p.shape(x)[1]))


@TABLE.add("aten.dot.default", "aten.vdot.default", "aten.inner.default", arity=2, common=False)
def dotted(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 12), fit(p, y, 12))


@TABLE.add("aten.einsum.default", arity=2, common=False)
def einsum(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, "bij,bkj->bik", [fit(p, x, 2, 5, 6), fit(p, y, 2, 5, 6)])


@TABLE.add("aten.einsum.default", common=False)
def einsum_with_weights(p: Program, op: str, x: Ref) -> Ref:
    return p(op, "bij,jk->bik", [fit(p, x, 2, 5, 6), p.parameter(6, 4)])


@TABLE.add("aten.addmm.default")
def affine(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, p.parameter(4), x, p.parameter(p.shape(x)[1], 4))


@TABLE.add("aten.addmv.default", common=False)
def affine_vector(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, p.parameter(p.shape(x)[0]), x, p.parameter(p.shape(x)[1]))


@TABLE.add("aten.baddbmm.default", "aten.addbmm.default", arity=2, common=False)
def affine_batched(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    start = p.parameter(2, 5, 5) if "bad" in op else p.parameter(5, 5)
    return p(op, start, fit(p, x, 2, 5, 6), fit(p, y, 2, 6, 5))


@TABLE.add("aten.addmm.default", arity=2, common=False)
def added_to_product(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(
        op, fit(p, y, 10, 4), fit(p, x, 10, 6), p.parameter(6, 4), beta=p.random.choice([1, 0.5])
    )


@TABLE.add("aten.addr.default", arity=2, common=False)
def outer_added(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, p.parameter(5, 4), fit(p, x, 5), fit(p, y, 4))


@TABLE.add("aten.outer.default", "aten.ger.default", "aten.kron.default", arity=2, common=False)
def outer(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 5), fit(p, y, 4))


def _homogeneous(p: Program, size: int) -> Ref:
    """A matrix of degree 0, 1 or 2, or a constant."""
    if p.random.random() < 0.3:
        return p.parameter(size, size)
    a = fit(p, p.state(*BASE_SHAPE), size, size)
    if p.random.random() < 0.3:
        return p("aten.mul.Tensor", a, a)
    norm = p("aten.linalg_vector_norm.default", a, 2, [-1], True)
    return p("aten.div.Tensor", a, norm) if p.random.random() < 0.3 else a


@TABLE.add("aten._linalg_solve_ex.default", "aten.linalg_solve.default", common=False)
def solved(p: Program, op: str, x: Ref) -> Ref:
    shape = p.random.choice([(5, 4), (5,)])
    return p(op, _homogeneous(p, 5), fit(p, x, *shape))


@TABLE.add("aten._linalg_solve_ex.default", common=False)
def solved_from_the_right(p: Program, op: str, x: Ref) -> Ref:
    return p(op, _homogeneous(p, 5), fit(p, x, 4, 5), left=False)


@TABLE.add("aten.linalg_inv_ex.default", "aten.linalg_inv.default", "aten.inverse.default",
           common=False)  # fmt: skip
def inverted(p: Program, op: str, x: Ref) -> Ref:
    return p(op, _homogeneous(p, 5))


@TABLE.add("aten.linalg_solve_triangular.default", common=False)
def solved_triangular(p: Program, op: str, x: Ref) -> Ref:
    return p(op, _homogeneous(p, 5), fit(p, x, 5, 4), upper=p.random.random() < 0.5)


@TABLE.add("aten.linalg_solve_triangular.default", common=False)
def solved_with_ones(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p.parameter(5, 5), fit(p, x, 5, 4), upper=True, unitriangular=True)


@TABLE.add("aten.cholesky_solve.default", common=False)
def solved_by_factor(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 5, 4), _homogeneous(p, 5))


@TABLE.add("aten.convolution.default")
def convolved(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 2, 5, 6)
    bias = p.parameter(3) if p.random.random() < 0.5 else None
    return p(op, x, p.parameter(3, 5, 3), bias, [1], [1], [1], False, [0], 1)


@TABLE.add("aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default", common=False)
def named_convolution(p: Program, op: str, x: Ref) -> Ref:
    n = int(op[len("aten.conv")])
    x = fit(p, x, 2, 3, *[4] * n)
    return p(op, x, p.parameter(2, 3, *[3] * n), p.parameter(2), [1] * n, [1] * n)


@TABLE.add("aten._convolution.default", common=False)
def old_convolution(p: Program, op: str, x: Ref) -> Ref:
    flags = (False, False, False, False)
    return p(
        op, fit(p, x, 2, 5, 6), p.parameter(3, 5, 3), None, [1], [1], [1], False, [0], 1, *flags
    )


@TABLE.add("aten.embedding.default")
def looked_up(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, x, indices(p, p.shape(x)[0], 2, 3))


@TABLE.add("aten.embedding.default", common=False)
def looked_up_by_state(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p.parameter(6, 3), p("aten.argmax.default", fit(p, x, 10, 6), -1))


@TABLE.add("aten._embedding_bag.default", common=False)
def bagged(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), indices(p, 10, 6), p.constant(torch.tensor([0, 3])))


_SDPA = (
    "aten.scaled_dot_product_attention.default", "aten._scaled_dot_product_attention_math.default",
    "aten._scaled_dot_product_flash_attention_for_cpu.default",
)  # fmt: skip


@TABLE.add(*_SDPA, arity=2)
def attended(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    query, key = fit(p, x, 2, 2, 3, 4), fit(p, y, 2, 2, 3, 4)
    causal = p.random.random() < 0.5
    return p(op, query, key, fit(p, x, 2, 2, 3, 4), **_causal(op, causal))


@TABLE.add(*_SDPA)
def attended_by_constants(p: Program, op: str, x: Ref) -> Ref:
    """Attention whose scores no state reaches."""
    return p(op, p.parameter(2, 2, 3, 4), p.parameter(2, 2, 3, 4), fit(p, x, 2, 2, 3, 4))


@TABLE.add(*_SDPA)
def attended_by_state(p: Program, op: str, x: Ref) -> Ref:
    """Attention over constant values, scored by the state."""
    return p(op, fit(p, x, 2, 2, 3, 4), p.parameter(2, 2, 3, 4), p.parameter(2, 2, 3, 4))


@TABLE.add("aten._scaled_dot_product_attention_math.default", common=False)
def attended_with_mask(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 2, 2, 3, 4)
    return p(op, x, p.parameter(2, 2, 3, 4), p.parameter(2, 2, 3, 4), p.parameter(3, 3))


def _causal(op: str, causal: bool) -> dict[str, bool]:
    return {"is_causal": causal}


# What no state reaches, and what only copies it.


@TABLE.add("aten.zeros_like.default", "aten.ones_like.default", "aten.rand_like.default",
           "aten.randn_like.default", common=False)  # fmt: skip
def like(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.zero.default", common=False)
def zeroed(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.new_zeros.default", "aten.new_ones.default", common=False)
def new(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, [2, 3])


@TABLE.add("aten.new_full.default", common=False)
def new_full(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, [2, 3], 1.5)


@TABLE.add("aten.full_like.default", "aten.fill.Scalar", common=False)
def filled(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 1.5)


@TABLE.add("aten.fill.Tensor", common=False)
def filled_by_value(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p.parameter(2, 3), p("aten.sum.default", x))


@TABLE.add("aten.native_dropout.default", common=False)
def native_dropout(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 0.0, True)


@TABLE.add("aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default",
           common=False)  # fmt: skip
def dropout(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 0.5, False)


# Twice the float64 default, so that tests measure in double precision.
_F64 = {"dtype": torch.float64}


@TABLE.add("aten.zeros.default", "aten.ones.default", "aten.rand.default",
           "aten.randn.default", "aten._efficientzerotensor.default", common=False)  # fmt: skip
def made(p: Program, op: str, x: Ref) -> Ref:
    return p(op, [2, 3], **_F64)


@TABLE.add("aten.empty_like.default", "aten.new_empty.default", "aten.empty.memory_format",
           common=False)  # fmt: skip
def unwritten(p: Program, op: str, x: Ref) -> Ref:
    """Memory not yet written: the test writes it before it is read."""
    if op.startswith("aten.empty.m"):
        made = p(op, [2, 3], **_F64)
    else:
        made = p(op, x) if "like" in op else p(op, x, [2, 3])
    return p("aten.copy.default", made, p.parameter(*p.shape(made)))


@TABLE.add("aten.empty_strided.default", "aten.new_empty_strided.default", "aten.empty_permuted.default",
           common=False)  # fmt: skip
def unwritten_strided(p: Program, op: str, x: Ref) -> Ref:
    first = [x] if "new" in op else []
    second = [0, 1] if "permuted" in op else [3, 1]
    made = p(op, *first, [2, 3], second, **_F64)
    return p("aten.copy.default", made, p.parameter(2, 3))


@TABLE.add("aten.full.default", common=False)
def full(p: Program, op: str, x: Ref) -> Ref:
    return p(op, [2, 3], 1.5, **_F64)


@TABLE.add("aten.scalar_tensor.default", common=False)
def scalar(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 1.5, **_F64)


@TABLE.add("aten.arange.default", "aten.eye.default", "aten.hann_window.default",
           "aten.hamming_window.default", common=False)  # fmt: skip
def counted_up(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 4, **_F64)


@TABLE.add("aten.arange.start", "aten.arange.start_step", "aten.linspace.default",
           "aten.logspace.default", common=False)  # fmt: skip
def between(p: Program, op: str, x: Ref) -> Ref:
    step = [] if op.endswith("start") else [2]
    return p(op, -3, 3, *step, **_F64)


@TABLE.add("aten.tril_indices.default", "aten.triu_indices.default", common=False)
def triangle_indices(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 3, 3)


@TABLE.add("aten.randint.default", "aten.randperm.default", common=False)
def random_whole_numbers(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 5, [2, 3]) if "randint" in op else p(op, 5)


@TABLE.add("aten.randint_like.default", common=False)
def random_like(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 5)


@TABLE.add("aten.uniform.default", "aten.exponential.default", "aten.cauchy.default",
           "aten.log_normal.default", "aten.random.default", "aten.normal_functional.default",
           common=False)  # fmt: skip
def drawn(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.geometric.default", "aten.bernoulli.p", common=False, loose=True)
def drawn_with_probability(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 1.0 if "bernoulli" in op else 0.5)


@TABLE.add("aten.bernoulli.default", common=False, loose=True)
def drawn_by_value(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.ones_like.default", x))


@TABLE.add("aten.normal.float_float", common=False)
def normal(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 0.0, 1.0, [2, 3], **_F64)


@TABLE.add("aten.poisson.default", "aten.multinomial.default", common=False)
def drawn_from_constants(p: Program, op: str, x: Ref) -> Ref:
    rates = p.constant(p.normal(2, 3).abs())
    return p(op, rates) if "poisson" in op else p(op, rates, 2)


@TABLE.add("aten.nonzero.default", common=False, loose=True)
def nonzero(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.abs.default", p.parameter(2, 3)))


@TABLE.add("aten.sym_size.int", "aten.sym_numel.default", "aten.is_same_size.default", common=False)
def shape(p: Program, op: str, x: Ref) -> Ref:
    if "same" in op:
        return p(op, x, x)
    return p(op, x, 0) if "size" in op else p(op, x)


__all__ = ["TABLE", "magnitude", "vector"]
