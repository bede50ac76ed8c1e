"""Laws of linear systems and inverses."""

from __future__ import annotations

from scaleaudit.domain.scale import Precision, Scale
from scaleaudit.scale import growth
from scaleaudit.scale.algebra import Arg, derived, lift
from scaleaudit.scale.copying import replace
from scaleaudit.scale.laws.linear import contract
from scaleaudit.scale.laws.reductions import blurred
from scaleaudit.scale.laws.table import LawTable

TABLE = LawTable()


@TABLE.law("aten._linalg_solve_ex", "aten.linalg_solve")
def solved(a: Arg, b: Arg, left: Arg = True, *_: Arg) -> Scale:
    """deg(A⁻¹ B) = deg(B) - deg(A) for a homogeneous A; a sum may be near to singular."""
    return _applied(_inverse(lift(a)), lift(b), left=left is True)


@TABLE.law("aten.linalg_inv_ex", "aten.linalg_inv", "aten.inverse")
def inverted(a: Arg, *_: Arg) -> Scale:
    """deg(A⁻¹) = -deg(A) for a homogeneous A."""
    return blurred(_inverse(lift(a)))


@TABLE.law("aten.linalg_solve_triangular")
def solved_triangular(a: Arg, b: Arg, upper: Arg, left: Arg = True, unit: Arg = False) -> Scale:
    """deg(A⁻¹ B) = deg(B) - deg(A) for a homogeneous triangle A."""
    a = lift(a)
    if unit is True and a.depends:
        raise ValueError("ones on the diagonal beside elements that grow")
    return _applied(_inverse(a), lift(b), left=left is True)


@TABLE.law("aten.cholesky_solve")
def solved_by_factor(b: Arg, factor: Arg, *_: Arg) -> Scale:
    """deg((L Lᵀ)⁻¹ B) = deg(B) - 2 deg(L) for a homogeneous L."""
    inverse = _inverse(lift(factor))
    return _applied(inverse, _applied(inverse, lift(b), left=True), left=True)


def _inverse(a: Scale) -> Scale:
    """The inverse of a matrix all of whose elements scale alike.

    Raises:
        ValueError: They do not: h hᵀ + I has degree 2, and its inverse has not degree -2.
    """
    g = a.growth
    if g.depends and not (growth.is_homogeneous(g) and g.precision is Precision.EXACT):
        raise ValueError("the inverse of a matrix that is not homogeneous")
    return derived(a, growth.reciprocal(g))


def _applied(inverse: Scale, b: Scale, *, left: bool) -> Scale:
    """A⁻¹ B, or B A⁻¹ where the matrix stands on the right."""
    rows = inverse.shape[:-1]
    vector = len(b.shape) == 1 or b.shape == rows
    dims = frozenset({-2}) if left and not vector else frozenset({-1})
    result = contract(inverse, b, frozenset({-1}), dims)
    return blurred(replace(result, shape=b.shape))
