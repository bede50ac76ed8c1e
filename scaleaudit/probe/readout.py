"""The twin with a raw readout: the norms that stand between the carried state and the loss, undone.

Which these are is read off the degrees that the audit derived, so that a norm counts however it is
written: as one operator, or as a product or quotient of the state and its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, fx

from scaleaudit.domain.claims import LoopClaims, PassClaims
from scaleaudit.domain.graph import Node, OpGraph, Ref, ancestors
from scaleaudit.domain.loops import Loop
from scaleaudit.domain.scale import ZERO
from scaleaudit.probe.program import Program

_Call = Callable[..., Any]


def raw_readout(
    program: Program, graph: OpGraph, loops: Sequence[Loop], claims: Sequence[LoopClaims]
) -> Program | None:
    """Return a program that reads every loop's state raw; None where no norm is in the way."""
    calls: dict[fx.Node, _Call] = {}
    for loop, claim in zip(loops, claims, strict=True):
        together = max(claim.passes, key=lambda each: len(each.scaled))
        for node, call in _norms_read_through(graph, loop, together).items():
            calls[program.call(node)] = call
    return program.with_calls(calls) if calls else None


def _norms_read_through(graph: OpGraph, loop: Loop, claims: PassClaims) -> Mapping[int, _Call]:
    """Find the last norms between a loop and the loss, with what is called in their place."""
    boundary = tuple(ref.node for state in loop.states for ref in state.boundary)
    inside = ancestors(graph, boundary)
    found: dict[int, _Call] = {}
    for node in graph.nodes:
        if node.id in graph.reaches_loss and node.id not in inside:
            call = _undone(node, claims)
            if call is not None:
                found[node.id] = call
    followed = {
        before for node in found for before in ancestors(graph, (node,)) - {node} if before in found
    }
    return {node: call for node, call in found.items() if node not in followed}


def _undone(node: Node, claims: PassClaims) -> _Call | None:
    """Say what to call in the place of a norm; None for what is none."""
    made = claims.values.get(Ref(node.id))
    if made is None or made.opaque or made.growth.hi != ZERO:
        return None
    powers = [_power(claims, ref) for ref in node.operands]
    if node.base_op in _FUSED:
        return _FUSED[node.base_op] if powers[0] else None
    match node.base_op, powers:
        case "aten.mul", [float(x), float(y)] if x == -y != 0:
            return _left if x > 0 else _right
        case "aten.div", [float(x), float(y)] if x == y != 0:
            return _left
    return None


def _power(claims: PassClaims, ref: Ref) -> float | None:
    """Return the degree of a value, 0 where no state reaches it; None where it is not known."""
    if ref in claims.scaled:
        return 1.0
    scale = claims.values.get(ref)
    if scale is None:
        return 0.0
    return None if scale.opaque else float(scale.growth.hi.power)


def _left(x: Tensor, y: Tensor, *_: Any, **__: Any) -> Tensor:
    """x * y and x / y without y, in the shape that they have."""
    return x.expand_as(x + y) if x.shape != y.shape else x


def _right(x: Tensor, y: Tensor) -> Tensor:
    return _left(y, x)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias


def _layer(
    x: Tensor, _: Any, weight: Tensor | None = None, bias: Tensor | None = None, *__: Any
) -> tuple[Tensor, None, None]:
    return _affine(x, weight, bias), None, None


def _rms(x: Tensor, _: Any, weight: Tensor | None = None, *__: Any) -> tuple[Tensor, None]:
    return _affine(x, weight), None


def _group(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *_: Any
) -> tuple[Tensor, None, None]:
    shape = (1, -1, *(1,) * (x.dim() - 2))
    gain, shift = (None if each is None else each.view(shape) for each in (weight, bias))
    return _affine(x, gain, shift), None, None


# Norms that are one operator: its input is replaced by itself, times its gain.
_FUSED: Mapping[str, _Call] = {
    "aten.native_layer_norm": _layer,
    "aten._fused_rms_norm": _rms,
    "aten.native_group_norm": _group,
    "aten.native_batch_norm": _group,
}
