"""Which values have elements that the states do not reach, and what is computed from them.

A mask, a shift by one position, or a sum over the edges of a graph leaves whole positions zero. The
analysis takes the constants of a program to be in general position, and knows of no such pattern: of what
a linear map with a bias makes of these positions it says what it says of all others.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, fx

from scaleaudit.certify import thresholds as t
from scaleaudit.certify.program import Value
from scaleaudit.domain.scale import Growth, Scale


class Reach:
    """Follows, node by node, which values have gaps: elements that the states do not reach."""

    def __init__(self, base: Mapping[fx.Node, Value], dirty: set[fx.Node]) -> None:
        """Watch a run.

        Args:
            base: The values that no state reaches.
            dirty: The nodes that states reach.
        """
        self._base, self._dirty = base, dirty
        self._gaps: dict[fx.Node, bool] = {}

    def has_gaps(self, node: fx.Node) -> bool:
        """Whether a value has gaps, or zeros where it is a constant of the program."""
        found = self._gaps.get(node)
        if found is None:
            constant = None if node in self._dirty else self._base.get(node)
            found = self._gaps[node] = _has_some_zeros(constant)
        return found

    def is_behind_gaps(self, node: fx.Node) -> bool:
        """Whether a value is computed from one that has gaps."""
        return any(self.has_gaps(operand) for operand in node.all_input_nodes)

    def note(self, node: fx.Node, values: list[Value], claims: list[Scale], *, short: bool) -> None:
        """Remember whether a value has gaps.

        Args:
            values: The value at every factor.
            claims: What is claimed of it.
            short: Whether elements of it grow less than claimed for what it is computed from.
        """
        behind = self.is_behind_gaps(node)
        if short or (behind and not (claims and all(_is_uniform(c.growth) for c in claims))):
            self._gaps[node] = True
            return
        sparse = any(c.growth.sparse for c in claims)
        still = _unmoved(values)
        self._gaps[node] = (sparse and _has_dead_rows(values[-1])) or (
            still is not None and (behind or _is_gap(still & (values[0] == 0), sparse=sparse))
        )


def _is_uniform(g: Growth) -> bool:
    """Whether all elements are said to be of one degree, so that those of gaps would stand out."""
    return g.lo == g.hi and not g.sparse


def _has_some_zeros(constant: Value) -> bool:
    if not isinstance(constant, Tensor) or constant.is_sparse or not _is_number(constant):
        return False
    zeros = constant == 0
    return bool(zeros.any()) and not bool(zeros.all())


def _is_number(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _unmoved(values: list[Value]) -> Tensor | None:
    """The elements that are the same at every factor; None where there are none, or no others."""
    first = values[0]
    if not all(isinstance(v, Tensor) and not v.is_sparse for v in values):
        return None
    if not _is_number(first) or any(v.shape != first.shape for v in values):
        return None
    still: Tensor = values[-1] == first
    if not still.any():
        return None
    for value in values[1:-1]:
        still = still & (value == first)
    return still if still.any() and not still.all() else None


def _has_dead_rows(value: Value) -> bool:
    """Whether whole rows died, as 1 + elu(x) does in a feature that is negative for all tokens."""
    if not isinstance(value, Tensor) or value.is_sparse or not _is_number(value):
        return False
    return _is_gap(value == 0, sparse=True)


def _is_gap(zeros: Tensor, *, sparse: bool) -> bool:
    """Whether zeros are a pattern that the analysis does not know of.

    Where elements are said to vanish, by their sign, that is a whole row that does.
    """
    if not sparse:
        return bool(zeros.any())
    long = (dim for dim, size in enumerate(zeros.shape) if size >= t.FEW)
    return any(bool(zeros.all(dim=dim).any()) for dim in long)
