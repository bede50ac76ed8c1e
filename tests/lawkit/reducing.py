"""Calls of reductions, norms, orderings, and layers that normalise."""

from __future__ import annotations

import torch

from lawkit.programs import Program
from lawkit.table import OperationTable, dim, fit, grid, magnitude, matrix, vector
from scaleaudit.domain.graph import Ref

TABLE = OperationTable()


def _dims(p: Program, x: Ref) -> list[int]:
    rank = len(p.shape(x))
    count = p.random.randrange(1, rank + 1)
    chosen = p.random.sample(range(rank), count)
    return [d - rank if p.random.random() < 0.5 else d for d in chosen]


def _keep(p: Program) -> bool:
    return p.random.random() < 0.5


@TABLE.add("aten.amax.default", "aten.amin.default")
def extreme_over_dims(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return _any_sign(p, p(op, x, _dims(p, x), _keep(p)))


def _any_sign(p: Program, x: Ref) -> Ref:
    """Turn a value whose elements tend to have one sign, or be equal, to general position."""
    return p("aten.mul.Tensor", x, p.parameter(*p.shape(x)))


@TABLE.add("aten.max.dim", "aten.min.dim", "aten.median.dim", "aten.mode.default")
def weighted_value_along(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return _any_sign(p, p(op, x, dim(p, x), _keep(p)))


@TABLE.add("aten.cummax.default", "aten.cummin.default", "aten.logcumsumexp.default")
def weighted_running_value(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return _any_sign(p, p(op, x, dim(p, x)))


@TABLE.add("aten.topk.default", "aten.kthvalue.default")
def weighted_pick(p: Program, op: str, x: Ref) -> Ref:
    return _any_sign(p, p(op, grid(p, x), 2, -1))


@TABLE.add("aten.amax.default", "aten.amin.default", common=False)
@TABLE.add("aten.sum.dim_IntList", "aten.mean.dim")
def over_dims(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, _dims(p, x), _keep(p))


@TABLE.add("aten.nansum.default", "aten.nanmean.default", "aten.logsumexp.default")
def over_some_dims(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, _dims(p, x), _keep(p))


@TABLE.add("aten.aminmax.default")
def weighted_extremes(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    low = p(op, x, dim=dim(p, x), keepdim=_keep(p))
    high = Ref(low.node, 1)
    return _any_sign(p, p.random.choice((low, high)))


@TABLE.add("aten.aminmax.default", common=False)
def extremes(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    low = p(op, x, dim=dim(p, x), keepdim=_keep(p))
    return p.random.choice(p.outputs(low))


@TABLE.add("aten.sum.default", "aten.mean.default", "aten.max.default", "aten.min.default",
           common=False)  # fmt: skip
def over_all(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.max.dim", "aten.min.dim", "aten.median.dim", "aten.mode.default",
           common=False)  # fmt: skip
def value_along(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x), _keep(p))


@TABLE.add("aten.max.dim", "aten.argmax.default", "aten.argmin.default", common=False)
def index_along(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    result = p(op, x, dim(p, x))
    return p.outputs(result)[-1]


@TABLE.add("aten.cumsum.default")
@TABLE.add("aten.cummax.default", "aten.cummin.default", "aten.logcumsumexp.default", common=False)
def cumulative(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x))


@TABLE.add("aten.cumprod.default", loose=True)
def cumulative_product(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x))


@TABLE.add("aten.prod.dim_int", loose=True)
def product_along(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x), _keep(p))


@TABLE.add("aten.prod.default", loose=True, common=False)
def product(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 3))


@TABLE.add("aten.argsort.default", "aten.sort.default", common=False)
def ordered(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, -1)


@TABLE.add("aten.topk.default", "aten.kthvalue.default", common=False)
def picked(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 2, -1)


@TABLE.add("aten.searchsorted.Tensor", "aten.bucketize.Tensor", common=False)
def searched(p: Program, op: str, x: Ref) -> Ref:
    edges = p.constant(torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64))
    return p(op, edges, x) if "searchsorted" in op else p(op, x, edges)


@TABLE.add("aten.linalg_vector_norm.default")
def vector_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(
        op,
        x,
        p.random.choice([2, 1, float("inf")]),
        p.random.choice([[-1], [0, 1], None]),
        _keep(p),
    )


@TABLE.add("aten.norm.ScalarOpt_dim", "aten.linalg_norm.default", common=False)
def norm(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 2, [-1], True)


@TABLE.add("aten.norm.Scalar", common=False)
def norm_of_all(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.var.correction", "aten.std.correction", "aten.var_mean.correction",
           "aten.std_mean.correction")  # fmt: skip
def spread(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    result = p(op, x, [dim(p, x)], correction=p.random.choice([0, 1]), keepdim=_keep(p))
    return p.random.choice(p.outputs(result))


@TABLE.add("aten.var.dim", "aten.std.dim", "aten.var_mean.dim", "aten.std_mean.dim", common=False)
def old_spread(p: Program, op: str, x: Ref) -> Ref:
    result = p(op, grid(p, x), [-1], True, True)
    return p.random.choice(p.outputs(result))


@TABLE.add("aten.var.default", "aten.std.default", common=False)
def spread_of_all(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.dist.default", arity=2)
def distance(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y, p.random.choice([1, 2]))


@TABLE.add("aten.cdist.default", "aten._cdist_forward.default", "aten._euclidean_dist.default",
           arity=2, common=False)  # fmt: skip
def distances(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x, y = matrix(p, x), matrix(p, y)
    return p(op, x, y, 2.0, None) if "_cdist" in op else p(op, x, y)


@TABLE.add("aten.count_nonzero.default", "aten.count_nonzero.dim_IntList", common=False)
def counted(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten.relu.default", x)
    return p(op, x) if op.endswith("default") else p(op, x, [-1])


@TABLE.add("aten.bincount.default", "aten.histc.default", loose=True, common=False)
def histogram(p: Program, op: str, x: Ref) -> Ref:
    if op.startswith("aten.histc"):
        return p(op, p("aten.sigmoid.default", x), 4, 0, 1)
    return p(op, p("aten.argmax.default", matrix(p, x), -1), None, 6)


# Softmax and normalisation.


@TABLE.add("aten._softmax.default", "aten._log_softmax.default")
def softmax(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x), False)


@TABLE.add("aten.softmax.int", "aten.log_softmax.int", "aten._safe_softmax.default", common=False)
def named_softmax(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, dim(p, x))


def _affine(p: Program, *shape: int) -> tuple[Ref | None, Ref | None]:
    choice = p.random.random()
    weight = p.parameter(*shape) if choice < 0.7 else None
    return weight, p.parameter(*shape) if choice < 0.35 else None


@TABLE.add("aten.native_layer_norm.default")
def layer_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    shape = list(p.shape(x)[-p.random.choice([1, 1, 2]) :])
    return p(op, x, shape, *_affine(p, *shape), 1e-5)


@TABLE.add("aten.native_layer_norm.default", common=False, differentiable=False)
def layer_norm_statistics(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    result = p(op, x, list(p.shape(x)[-1:]), None, None, 1e-5)
    return p.random.choice(p.outputs(result)[1:])


@TABLE.add("aten.native_layer_norm_backward.default", common=False, differentiable=False)
def gradient_of_layer_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    shape = list(p.shape(x)[-1:])
    affine = _affine(p, *shape)
    _, mean, inverse = p.outputs(p("aten.native_layer_norm.default", x, shape, *affine, 1e-5))
    heard = p.parameter(*p.shape(x))  # not x: what runs along it is taken out
    if p.random.random() < 0.5:
        heard = p("aten.mul.Tensor", heard, x)
    made = p(op, heard, x, shape, mean, inverse, *affine, [True, False, False])
    return p.outputs(made)[0]


@TABLE.add("aten.layer_norm.default", common=False)
def named_layer_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    shape = list(p.shape(x)[-1:])
    return p(op, x, shape, *_affine(p, *shape))


@TABLE.add("aten._fused_rms_norm.default", "aten.rms_norm.default")
def rms_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    shape = list(p.shape(x)[-1:])
    return p(op, x, shape, p.parameter(*shape), p.random.choice([1e-6, 1e-5]))


@TABLE.add("aten._fused_rms_norm.default", common=False)
def rms_norm_statistics(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    shape = list(p.shape(x)[-1:])
    return p.outputs(p(op, x, shape, p.parameter(*shape), 1e-6))[1]


@TABLE.add("aten.native_group_norm.default", "aten.group_norm.default")
def group_norm(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 3, 4, 5)
    weight, bias = p.parameter(4), p.parameter(4)
    if op.startswith("aten.native"):
        return p(op, x, weight, bias, 3, 4, 5, 2, 1e-5)
    return p(op, x, 2, weight, bias, 1e-5)


@TABLE.add("aten.native_batch_norm.default", "aten._native_batch_norm_legit_functional.default")
def batch_norm(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 5, 3, 4)
    mean, variance = p.parameter(3), p.constant(p.normal(3).abs() + 0.5, known=False)
    return p(
        op, x, p.parameter(3), p.parameter(3), mean, variance, p.random.random() < 0.5, 0.1, 1e-5
    )


@TABLE.add("aten._native_batch_norm_legit.no_stats", common=False)
def batch_norm_without_statistics(p: Program, op: str, x: Ref) -> Ref:
    return p(op, fit(p, x, 5, 3, 4), p.parameter(3), p.parameter(3), True, 0.1, 1e-5)


@TABLE.add("aten._native_batch_norm_legit.default", "aten.batch_norm.default", common=False)
def named_batch_norm(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 5, 3, 4)
    mean, variance = p.parameter(3), p.constant(p.normal(3).abs() + 0.5, known=False)
    tail = (False,) if op == "aten.batch_norm.default" else ()
    return p(op, x, p.parameter(3), p.parameter(3), mean, variance, False, 0.1, 1e-5, *tail)


@TABLE.add("aten.renorm.default", common=False)
def renorm(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), 2, 0, 1.0)


@TABLE.add("aten._weight_norm_interface.default", "aten._weight_norm.default", common=False)
def weight_norm(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, x, p.parameter(p.shape(x)[0], 1), 0)


@TABLE.add("aten._weight_norm_interface.default", arity=2, common=False)
def weight_norm_by_value(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, fit(p, x, 10, 6), fit(p, y, 10, 1), 0)


@TABLE.add("aten.cosine_similarity.default", arity=2)
def cosine(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = grid(p, x)
    return p(op, x, fit(p, y, *p.shape(x)), p.random.choice([-1, 1]), 1e-3)


@TABLE.add("aten.div.Tensor")
def written_norm(p: Program, op: str, x: Ref) -> Ref:
    """A norm written by hand: x / (‖x‖ + eps)."""
    x = grid(p, x)
    length = p("aten.linalg_vector_norm.default", x, 2, [-1], True)
    way = p.random.randrange(3)
    if way == 1:
        length = p("aten.add.Tensor", length, 1e-6)
    elif way == 2:
        length = p("aten.clamp_min.default", length, 1e-6)
    return p(op, x, length)


@TABLE.add("aten.mul.Tensor")
def written_rms_norm(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    size = p("aten.mean.dim", p("aten.pow.Tensor_Scalar", x, 2), [-1], True)
    return p(op, x, p("aten.rsqrt.default", p("aten.add.Tensor", size, 1e-6)))


# Losses.

_REDUCTIONS = (0, 1, 2)


@TABLE.add("aten.nll_loss_forward.default", "aten.nll_loss.default", "aten.nll_loss_nd.default")
def nll(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    rows, columns = p.shape(x)
    x = p("aten._log_softmax.default", x, 1, False) if p.random.random() < 0.7 else x
    target = p.constant(torch.tensor([p.random.randrange(columns) for _ in range(rows)]))
    return p(op, x, target, None, p.random.choice(_REDUCTIONS), -100)


@TABLE.add("aten.nll_loss2d_forward.default", common=False)
def nll_2d(p: Program, op: str, x: Ref) -> Ref:
    x = fit(p, x, 2, 5, 3, 2)
    target = p.constant(torch.tensor([p.random.randrange(5) for _ in range(12)]).reshape(2, 3, 2))
    return p(op, x, target, None, p.random.choice(_REDUCTIONS), -100)


@TABLE.add("aten.mse_loss.default", "aten.l1_loss.default", arity=2)
def error_loss(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y, p.random.choice(_REDUCTIONS))


@TABLE.add("aten.smooth_l1_loss.default", "aten.huber_loss.default", arity=2)
def smooth_loss(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y, p.random.choice(_REDUCTIONS), 1.0)


@TABLE.add("aten.binary_cross_entropy_with_logits.default")
def bce_with_logits(p: Program, op: str, x: Ref) -> Ref:
    target = p.constant((p.normal(*p.shape(x)) > 0).double())
    return p(op, x, target, None, None, p.random.choice(_REDUCTIONS))


@TABLE.add("aten.binary_cross_entropy.default")
def bce(p: Program, op: str, x: Ref) -> Ref:
    target = p.constant((p.normal(*p.shape(x)) > 0).double())
    return p(op, p("aten.sigmoid.default", x), target, None, p.random.choice(_REDUCTIONS))


@TABLE.add("aten.soft_margin_loss.default", common=False)
def soft_margin(p: Program, op: str, x: Ref) -> Ref:
    target = p.constant(p.normal(*p.shape(x)).sign())
    # torch's soft margin overflows in exp: keep it small
    return p(op, p("aten.tanh.default", x), target, p.random.choice(_REDUCTIONS))


@TABLE.add("aten._ctc_loss.default", common=False)
def ctc(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten._log_softmax.default", fit(p, x, 6, 2, 4), 2, False)
    target = p.constant(
        torch.tensor([[p.random.randrange(1, 4) for _ in range(2)] for _ in range(2)])
    )
    return p(op, x, target, [6, 6], [2, 2], 0, False)


@TABLE.add("aten._fft_r2c.default", common=False)
def real_fourier(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p("aten.abs.default", p(op, x, [dim(p, x) % 2], 0, True))


@TABLE.add("aten._fft_c2c.default", common=False)
def complex_fourier(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten._fft_r2c.default", matrix(p, x), [1], 0, True)
    return p("aten.abs.default", p(op, x, [0], 0, True))


@TABLE.add("aten._fft_c2r.default", common=False)
def inverse_fourier(p: Program, op: str, x: Ref) -> Ref:
    x = matrix(p, x)
    return p(op, p("aten._fft_r2c.default", x, [1], 0, True), [1], 2, p.shape(x)[1])


__all__ = ["TABLE", "magnitude", "vector"]
