"""Calls of operators that act element by element."""

from __future__ import annotations

import torch

from lawkit.programs import Program
from lawkit.table import OperationTable, fit, grid, magnitude, mask, matrix, vector
from scaleaudit.domain.graph import Ref

TABLE = OperationTable()


@TABLE.add(
    "aten.abs.default", "aten.neg.default", "aten.square.default", "aten.relu.default",
    "aten.silu.default", "aten.mish.default", "aten.hardswish.default", "aten.tanh.default",
    "aten.sigmoid.default", "aten.hardsigmoid.default", "aten.erf.default", "aten.atan.default",
    "aten.sin.default", "aten.cos.default", "aten.selu.default", "aten.sign.default",
    "aten.log_sigmoid.default", "aten.leaky_relu.default", "aten.celu.default", "aten.elu.default",
    "aten.softplus.default", "aten.reciprocal.default", "aten.round.default", "aten.floor.default",
    "aten.ceil.default", "aten.trunc.default", "aten.exp.default",
)  # fmt: skip
def unary(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add(
    "aten.absolute.default", "aten.arctan.default", "aten.sgn.default", "aten.positive.default",
    "aten.exp2.default", "aten.expm1.default", "aten.asinh.default", "aten.arcsinh.default",
    common=False,
)  # fmt: skip
def rare_unary(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.tanh_backward.default", common=False)
def gradient_of_tanh(p: Program, op: str, x: Ref) -> Ref:
    y = p("aten.tanh.default", x)
    return p(op, p.random.choice([x, p.parameter(*p.shape(x))]), y)


@TABLE.add("aten.exp.default", "aten.exp2.default", "aten.expm1.default", common=False)
def exp_of_negative(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.neg.default", magnitude(p, x)))


@TABLE.add("aten.exp.default", common=False)
def exp_of_positive(p: Program, op: str, x: Ref) -> Ref:
    return p(op, magnitude(p, x))


@TABLE.add("aten.exp.default")
def exp_below_peak(p: Program, op: str, x: Ref) -> Ref:
    x = grid(p, x)
    return p(op, p("aten.sub.Tensor", x, p("aten.amax.default", x, [-1], True)))


@TABLE.add("aten.sigmoid.default", "aten.softplus.default", "aten.silu.default")
def of_magnitude(p: Program, op: str, x: Ref) -> Ref:
    x = magnitude(p, x)
    return p(op, p("aten.neg.default", x) if p.random.random() < 0.5 else x)


@TABLE.add("aten.frac.default", rough=True)
def fraction(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.gelu.default")
def gelu(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, approximate=p.random.choice(["none", "tanh"]))


@TABLE.add(
    "aten.sqrt.default", "aten.rsqrt.default", "aten.log.default", "aten.log1p.default",
    "aten.special_entr.default",
)  # fmt: skip
def positive_unary(p: Program, op: str, x: Ref) -> Ref:
    return p(op, magnitude(p, x))


@TABLE.add("aten.log2.default", "aten.log10.default", common=False)
def rare_positive_unary(p: Program, op: str, x: Ref) -> Ref:
    return p(op, magnitude(p, x))


@TABLE.add("aten.signbit.default", "aten.isnan.default", "aten.isinf.default",
           "aten.isfinite.default", common=False)  # fmt: skip
def truth(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.log_sigmoid_forward.default", common=False)
def log_sigmoid(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x)


@TABLE.add("aten.prelu.default")
def prelu(p: Program, op: str, x: Ref) -> Ref:
    return p(op, grid(p, x), p.parameter(p.shape(grid(p, x))[1]))


@TABLE.add("aten._prelu_kernel.default", common=False)
def prelu_kernel(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.parameter(1))


@TABLE.add("aten.rrelu_with_noise_functional.default", common=False)
def rrelu(p: Program, op: str, x: Ref) -> Ref:
    noise = p.constant(torch.ones(p.shape(x), dtype=torch.float64))
    return p(op, x, noise, 0.2, 0.2, False)


@TABLE.add("aten.softshrink.default", "aten.hardshrink.default", common=False)
def shrunk(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.random.choice([0.5, 0.25]))


@TABLE.add("aten.logit.default", common=False, loose=True)
def logit_of_gate(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.sigmoid.default", p("aten.clamp.default", x, -2.0, 1.0)))


@TABLE.add("aten.logit.default", common=False)
def logit_of_clamped(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.random.choice([1e-3, 0.1]))


# Two operands.


@TABLE.add("aten.add.Tensor", "aten.sub.Tensor", "aten.rsub.Tensor", arity=2)
def weighted_sum(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y, alpha=p.random.choice([1, 1, 2, -1, 0.5]))


@TABLE.add("aten.mul.Tensor", "aten.div.Tensor", "aten.maximum.default", "aten.minimum.default",
           arity=2)  # fmt: skip
def binary(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y)


@TABLE.add("aten.true_divide.Tensor", "aten.fmax.default", "aten.fmin.default",
           arity=2, common=False)  # fmt: skip
def rare_binary(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y)


@TABLE.add("aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor", "aten.div.Tensor")
def with_number(p: Program, op: str, x: Ref) -> Ref:
    number = p.random.choice([2.0, -1.5, 0.25, 1.0, 3])
    return p(op, x, number)


@TABLE.add("aten.add.Scalar", "aten.sub.Scalar", "aten.rsub.Scalar", "aten.mul.Scalar",
           "aten.div.Scalar", "aten.true_divide.Scalar", common=False)  # fmt: skip
def with_scalar(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.random.choice([2.0, -1.5, 0.25]))


@TABLE.add("aten.add.Tensor")
def plus_eps(p: Program, op: str, x: Ref) -> Ref:
    return p(op, magnitude(p, x), p.random.choice([1e-5, 1e-8]))


@TABLE.add("aten.add_.Tensor", common=False)
def add_in_place(p: Program, op: str, x: Ref) -> Ref:
    return p("aten.add_.Tensor", p("aten.clone.default", x), p.parameter(*p.shape(x)))


@TABLE.add("aten.sub.Tensor")
def less_itself(p: Program, op: str, x: Ref) -> Ref:
    """h - (h - e): what cancels."""
    other = p.parameter(*p.shape(x))
    return p(op, x, p(op, x, other))


@TABLE.add("aten.mul.Tensor")
def product_with_parameter(p: Program, op: str, x: Ref) -> Ref:
    shape = p.shape(x)
    return p(op, x, p.parameter(*shape[-1:]))


@TABLE.add("aten.mul.Tensor")
def squared(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, x)


@TABLE.add("aten.div.Tensor", "aten.div.Tensor_mode", arity=2, loose=True)
def divided(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    if op.endswith("mode"):
        return p(op, x, y, rounding_mode=p.random.choice([None, "floor", "trunc"]))
    y = p("aten.mul.Tensor", y, p.parameter(*p.shape(y)))
    return p(op, x, p("aten.add.Tensor", magnitude(p, y), 0.5))


@TABLE.add("aten.floor_divide.default", "aten.remainder.Tensor", "aten.fmod.Tensor", arity=2,
           rough=True, common=False)  # fmt: skip
def by_constant(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, p.constant(p.normal(*p.shape(x)).abs() + 0.5))


@TABLE.add("aten.floor_divide.default", "aten.remainder.Tensor", "aten.fmod.Tensor", arity=2,
           loose=True, common=False)  # fmt: skip
def by_value(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, p("aten.add.Tensor", magnitude(p, y), 0.5))


@TABLE.add("aten.remainder.Scalar", "aten.fmod.Scalar", rough=True, common=False)
def by_number(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, 3.0)


@TABLE.add("aten.remainder.Scalar_Tensor", loose=True, common=False, differentiable=False)
def of_number(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 3.0, p("aten.add.Tensor", magnitude(p, x), 0.5))


@TABLE.add("aten.pow.Tensor_Scalar")
def power(p: Program, op: str, x: Ref) -> Ref:
    exponent = p.random.choice([2, 3, 0.5, -1, 1, 0, -0.5, 1.5, 2.0])
    whole = exponent == int(exponent)
    return p(op, x if whole else magnitude(p, x), exponent)


@TABLE.add("aten.pow.Tensor_Tensor", loose=True, common=False)
def learned_power(p: Program, op: str, x: Ref) -> Ref:
    exponent = p.constant(p.normal(*p.shape(x)).abs().clamp(0.1, 1.0))
    return p(op, magnitude(p, x), exponent)


@TABLE.add("aten.pow.Tensor_Tensor", loose=True, common=False)
def bounded_power(p: Program, op: str, x: Ref) -> Ref:
    """A power whose exponent reads a normed state."""
    exponent = p("aten.sigmoid.default", p.parameter(*p.shape(x)))
    return p(op, magnitude(p, x), exponent)


@TABLE.add("aten.pow.Scalar", common=False)
def power_of_number(p: Program, op: str, x: Ref) -> Ref:
    return p(op, 2.0, p("aten.neg.default", magnitude(p, x)))


@TABLE.add("aten.xlogy.Tensor", "aten.special_xlog1py.default", arity=2)
def times_log(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, p("aten.add.Tensor", magnitude(p, y), 0.5))


@TABLE.add("aten.xlogy.Tensor", common=False)
def entropy(p: Program, op: str, x: Ref) -> Ref:
    x = p("aten.sigmoid.default", x)
    return p(op, x, x)


@TABLE.add("aten.addcmul.default", "aten.addcdiv.default", arity=2)
def added_product(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    third = p.parameter(*p.shape(x))
    value = p.random.choice([1, 0.5])
    return (
        p(op, third, x, y, value=value)
        if p.random.random() < 0.5
        else p(op, x, y, third, value=value)
    )


@TABLE.add("aten.lerp.Tensor", arity=2)
def lerp(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    gate = p("aten.sigmoid.default", p.parameter(*p.shape(x)))
    return p(op, x, y, gate)


@TABLE.add("aten.lerp.Scalar", arity=2)
def lerp_by_number(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y, p.random.choice([0.5, 0.25, 1.0, 0.0]))


@TABLE.add("aten.mul.Tensor", arity=2)
def mixed_by_gate(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    """z x + (1 - z) y."""
    gate = p("aten.sigmoid.default", p.parameter(*p.shape(x)))
    rest = p("aten.rsub.Scalar", gate, 1.0)
    return p("aten.add.Tensor", p(op, gate, x), p(op, rest, y))


@TABLE.add("aten.clamp.default", "aten.hardtanh.default", "aten.clip.default")
def clamp(p: Program, op: str, x: Ref) -> Ref:
    low, high = p.random.choice([(-1.0, 1.0), (0.0, 1.0), (-2.0, 3.0), (0.5, 2.0), (-3.0, -1.0)])
    if p.random.random() < 0.3:
        x = magnitude(p, x)
    return p(op, x, low, high)


@TABLE.add("aten.clamp.default", common=False)
def clamp_of_what_dies(p: Program, op: str, x: Ref) -> Ref:
    """log |tanh x| dies as x grows, and takes a factor of x along."""
    dying = p("aten.log.default", magnitude(p, p("aten.tanh.default", x)))
    if p.random.random() < 0.5:
        dying = p("aten.mul.Tensor", x, dying)
    return p(op, dying, *p.random.choice([(-1.0, 1.0), (-2.0, 3.0), (-1.0, -0.25)]))


@TABLE.add("aten.clamp.default")
def half_clamp(p: Program, op: str, x: Ref) -> Ref:
    bound = p.random.choice([-1.0, 0.0, 1e-3, 1.0])
    return p(op, x, bound) if p.random.random() < 0.5 else p(op, x, None, bound)


@TABLE.add("aten.clamp_min.default", "aten.clamp_max.default")
def floor_or_ceiling(p: Program, op: str, x: Ref) -> Ref:
    if p.random.random() < 0.5:
        x = magnitude(p, x)
    floors = [1e-3] if "min" in op else []
    return p(op, x, p.random.choice([-1.0, 0.0, 1.0, 0.5, *floors]))


@TABLE.add("aten.clamp.Tensor", "aten.clip.Tensor", "aten.clamp_min.Tensor", "aten.clamp_max.Tensor",
           arity=2)  # fmt: skip
def clamp_by_value(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    if op.startswith(("aten.clamp_", "aten.hard")):
        return p(op, x, y)
    if p.random.random() < 0.5:
        return p(op, x, p("aten.neg.default", magnitude(p, y)), magnitude(p, y))
    bound = p.parameter(*p.shape(x))
    return p(op, x, p("aten.neg.default", magnitude(p, bound)), magnitude(p, bound))


_COMPARISONS = ("gt", "lt", "ge", "le", "eq", "ne")


@TABLE.add(*(f"aten.{name}.Tensor" for name in _COMPARISONS), arity=2, rough=True, common=False)
def compare(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, y)


@TABLE.add(*(f"aten.{name}.Scalar" for name in _COMPARISONS), rough=True, common=False)
def compare_with_number(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, p.random.choice([0.0, 1.0]))


@TABLE.add("aten.gt.Tensor", arity=2, rough=True)
def comparison_as_number(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    other = f"aten.{p.random.choice(_COMPARISONS)}.Tensor"
    truth = p(other, x, y)
    return p("aten._to_copy.default", truth, dtype=torch.float64)


@TABLE.add("aten.eq.Tensor", "aten.ne.Tensor", arity=2, rough=True, common=False)
def compare_signs(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    y = p("aten.add.Tensor", y, p.parameter(*p.shape(y)))
    return p(op, p("aten.sign.default", x), p("aten.sign.default", y))


_LOGICAL = ("logical_and", "logical_or", "logical_xor")


@TABLE.add(*(f"aten.{name}.default" for name in _LOGICAL), arity=2, rough=True, common=False)
def logical(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, p("aten.gt.Scalar", x, 0.3), p("aten.lt.Scalar", y, 0.2))


@TABLE.add(*(f"aten.{name}.Tensor" for name in (
    "bitwise_and", "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__",
)), arity=2, rough=True, common=False)  # fmt: skip
def bitwise(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, p("aten.gt.Scalar", x, 0.3), p("aten.lt.Scalar", y, 0.2))


@TABLE.add("aten.logical_not.default", "aten.bitwise_not.default", "aten.any.default",
           "aten.all.default", "aten._is_all_true.default", "aten._is_any_true.default", rough=True, common=False)  # fmt: skip
def logical_not(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.gt.Scalar", x, 0.3))


@TABLE.add("aten.any.dim", "aten.all.dim", rough=True, common=False)
def logical_along(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.gt.Scalar", grid(p, x), 0.3), -1)


@TABLE.add("aten.where.self", arity=2)
def where_constant(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, mask(p, *p.shape(x)), x, y)


@TABLE.add("aten.where.self", arity=2, loose=True)
def where_compared(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    third = p.parameter(*p.shape(x))
    y = third if x == y else y
    condition = p("aten.gt.Tensor", x, y)
    pair = p.random.choice([(x, y), (x, third), (third, y)])
    return p(op, condition, *pair)


@TABLE.add("aten.where.ScalarOther", "aten.where.ScalarSelf", common=False)
def where_number(p: Program, op: str, x: Ref) -> Ref:
    condition = mask(p, *p.shape(x))
    return p(op, condition, x, 2.0) if op.endswith("Other") else p(op, condition, 2.0, x)


@TABLE.add("aten.masked_fill.Scalar")
def masked_fill(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, mask(p, *p.shape(x)), p.random.choice([0.0, 1.0, -2.0]))


@TABLE.add("aten.masked_fill.Tensor", common=False)
def masked_fill_by_value(p: Program, op: str, x: Ref) -> Ref:
    return p(op, x, mask(p, *p.shape(x)), p.parameter())


@TABLE.add("aten.masked_scatter.default", arity=2, common=False)
def masked_scatter(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    return p(op, x, mask(p, *p.shape(x)), y)


@TABLE.add("aten.polar.default", "aten.complex.default", arity=2, common=False)
def polar(p: Program, op: str, x: Ref, y: Ref) -> Ref:
    x = magnitude(p, x)
    return p(op, x, y)


@TABLE.add("aten.real.default", "aten.imag.default", "aten.view_as_real.default",
           "aten._conj.default", "aten.conj_physical.default", "aten.resolve_conj.default",
           common=False)  # fmt: skip
def complex_part(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.view_as_complex.default", p("aten.clone.default", fit(p, x, 6, 5, 2))))


@TABLE.add("aten.angle.default", common=False)
def angle(p: Program, op: str, x: Ref) -> Ref:
    return p(op, p("aten.view_as_complex.default", p("aten.clone.default", fit(p, x, 6, 5, 2))))


@TABLE.add("aten.view_as_complex.default")
def rotated(p: Program, op: str, x: Ref) -> Ref:
    """Rotary embeddings: multiply by complex numbers of length 1."""
    x = fit(p, x, 6, 5, 2)
    value = p(op, p("aten.clone.default", x))
    turn = _turn(p)
    return p("aten.view_as_real.default", p("aten.mul.Tensor", value, turn))


def _turn(p: Program) -> Ref:
    one = p.constant(torch.ones(6, 5, dtype=torch.float64))
    return p("aten.polar.default", one, p.constant(p.normal(6, 5)))


@TABLE.add("aten.glu.default")
def glu(p: Program, op: str, x: Ref) -> Ref:
    x = x if p.shape(x)[-1:] and p.shape(x)[-1] % 2 == 0 else fit(p, x, 2, 5, 6)
    return p(op, x, -1)


__all__ = ["TABLE", "matrix", "vector"]
