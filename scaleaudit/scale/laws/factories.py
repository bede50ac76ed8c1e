"""Laws of values that no state reaches: constants, random draws, masks of dropout."""

from __future__ import annotations

from scaleaudit.domain.scale import NONNEGATIVE, REALS, Interval, Scale
from scaleaudit.scale import algebra
from scaleaudit.scale.algebra import Arg, lift
from scaleaudit.scale.laws.shapes import same
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()


@TABLE.law("aten.zeros", "aten.zeros_like", "aten.new_zeros", "aten.zero", "aten._efficientzerotensor",
           "aten.empty", "aten.empty_like", "aten.new_empty", "aten.empty_strided",
           "aten.new_empty_strided", "aten.empty_permuted")  # fmt: skip
def zeros(*_: Arg) -> Scale:
    """Zeros (and memory not yet written, which reads as them)."""
    return algebra.number(0.0)


@TABLE.law("aten.ones", "aten.ones_like", "aten.new_ones")
def ones(*_: Arg) -> Scale:
    """Ones."""
    return algebra.number(1.0)


@TABLE.law("aten.full", "aten.full_like", "aten.new_full", "aten.fill")
def full(shape: Arg, value: Arg, *_: Arg) -> Scale:
    """One number everywhere."""
    return lift(value)


@TABLE.law("aten.scalar_tensor")
def scalar_tensor(value: Arg, *_: Arg) -> Scale:
    """A number."""
    return lift(value)


@TABLE.law("aten.arange", "aten.linspace", "aten.logspace", "aten.eye", "aten.tril_indices",
           "aten.triu_indices", "aten.hann_window", "aten.hamming_window")  # fmt: skip
def ramp(*_: Arg) -> Scale:
    """Numbers of the program."""
    return algebra.independent()


@TABLE.law("aten.arange.default")
def arange(*_: Arg) -> Scale:
    """0, 1, 2, ..."""
    return algebra.independent(NONNEGATIVE)


@TABLE.law("aten.rand", "aten.rand_like", "aten.uniform")
def uniform(*_: Arg) -> Scale:
    """Random numbers, whatever the state."""
    return algebra.independent()


@TABLE.law("aten.randn", "aten.randn_like", "aten.normal", "aten.normal_functional", "aten.randint",
           "aten.randint_like", "aten.randperm", "aten.exponential", "aten.cauchy", "aten.log_normal",
           "aten.geometric", "aten.random", "aten.multinomial", "aten.poisson")  # fmt: skip
def random(*_: Arg) -> Scale:
    """Random numbers, whatever the state."""
    return algebra.independent(REALS)


@TABLE.law("aten.bernoulli")
def bernoulli(x: Arg, p: Arg = None, *_: Arg) -> Scale:
    """A mask acts on lengths through its mean: the probability to keep."""
    if isinstance(p, (int, float)):
        return algebra.number(float(p))
    x = lift(x)
    if not x.depends and x.span.is_point:
        return x
    return algebra.derived(x, x.growth, Interval(0.0, 1.0))


@TABLE.law("aten.native_dropout")
def native_dropout(x: Arg, *_: Arg) -> tuple[Scale, Scale]:
    """Dropout keeps its argument in the mean."""
    kept = same(x)
    assert isinstance(kept, Scale)
    return kept, algebra.independent(Interval(0.0, 1.0))


@TABLE.law("aten.dropout", "aten.feature_dropout", "aten.alpha_dropout")
def dropout(x: Arg, *_: Arg) -> Scale:
    """Dropout keeps its argument in the mean."""
    return lift(x)


@TABLE.law("aten.sym_size", "aten.sym_numel", "aten.is_same_size")  # fmt: skip
def metadata(*_: Arg) -> Scale:
    """Shapes do not depend on values."""
    return algebra.independent(NONNEGATIVE)
