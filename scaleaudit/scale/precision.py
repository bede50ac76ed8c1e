"""In how many bits the length of a state goes around its loop."""

from __future__ import annotations

from typing import TypeAlias

from scaleaudit.domain.graph import OpGraph, Ref
from scaleaudit.domain.scale import LINEAR
from scaleaudit.scale.interpreter import ScaleTable

# Bits of the significand, the implicit one included (IEEE 754; bfloat16 and float8 by their names).
_BITS = {
    "float64": 53,
    "complex128": 53,
    "float32": 24,
    "complex64": 24,
    "float16": 11,
    "complex32": 11,
    "bfloat16": 8,
    "float8_e4m3fn": 4,
    "float8_e5m2": 3,
}
_Width: TypeAlias = tuple[int, str]


def carried_dtype(graph: OpGraph, table: ScaleTable, boundary: tuple[Ref, ...], end: Ref) -> str:
    """Return the narrowest dtype on the widest way that a length takes through a turn.

    A sum in bfloat16 loses what is small beside the state, whatever it is cast to afterwards; a
    branch that is computed in bfloat16 beside a path in float32 loses nothing of the state. Where
    no way is known it is the dtype of the value that crosses.
    """
    own = graph.meta(end).dtype
    before = [ref for ref in boundary if ref.node < end.node]
    if not before or own not in _BITS:
        return own
    widest: dict[Ref, _Width] = {before[-1]: _width(graph.meta(before[-1]).dtype)}
    for node in graph.nodes[before[-1].node + 1 : end.node + 1]:
        ways = [widest[ref] for ref in node.operands if ref in widest]
        for output, meta in enumerate(node.outputs if ways else ()):
            ref = Ref(node.id, output)
            if meta.dtype in _BITS and _grows(table, ref):
                widest[ref] = min(max(ways), _width(meta.dtype))
    return widest.get(end, _width(own))[1]


def _width(dtype: str) -> _Width:
    return _BITS.get(dtype, 0), dtype


def _grows(table: ScaleTable, ref: Ref) -> bool:
    """Whether a value has the length of the state in it."""
    scale = table.inflow.get(ref) or table[ref]
    return scale.growth.hi >= LINEAR.hi
