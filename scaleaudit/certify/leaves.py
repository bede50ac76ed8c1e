"""Small random values for everything a program starts from, and for the states that are cut."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from scaleaudit.certify.thresholds import SHORT, SLIGHT
from scaleaudit.domain.executable import Executable, LeafLike
from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref

_VIEWS = frozenset({
    "aten.view", "aten.reshape", "aten._unsafe_view", "aten.slice", "aten.select", "aten.clone",
    "aten.contiguous", "aten.unsqueeze", "aten.squeeze", "aten.expand", "aten.transpose",
    "aten.permute", "aten.t", "aten._to_copy", "aten.alias", "aten.detach", "aten.lift_fresh",
    "aten.constant_pad_nd", "aten.flatten",
})  # fmt: skip
_MASK_VALUES = {0.0, 1.0}
# Of a mask that is not known so much lets through.
_LET_THROUGH = 0.7


def leaf_value(
    program: Executable,
    leaf: LeafLike,
    generator: torch.Generator,
    caution: int,
    *,
    positive: bool = False,
) -> Tensor:
    """Draw a value for a leaf.

    Args:
        caution: 0 for values in general position, 1 for masks that let everything through and
            the smallest numbers as indices, 2 for masks that let nothing through.
        positive: Whether gains and biases are positive: a learned factor that is clamped is taken
            to be inside its limits, and most are positive there.
    """
    known, meta = leaf.value, leaf.meta
    if leaf.kind is NodeKind.PARAMETER:
        drawn = _weight(meta.shape, generator)
        return drawn.abs() if positive and len(meta.shape) <= 1 else drawn
    if known is not None and _is_kept(leaf.kind, known):
        return _wide(known)
    if meta.dtype == "bool":
        return drawn_mask(meta.shape, generator, caution)
    if "float" in meta.dtype or "complex" in meta.dtype:
        drawn = _normal(meta.shape, generator, _dtype(meta.dtype))
        # Buffers are variances and rotations as often as means: positive is safe for all of them.
        as_it_is = leaf.kind is NodeKind.INPUT or drawn.is_complex()
        return drawn if as_it_is else drawn.abs() + 0.5
    return _whole(program.graph, leaf, generator, caution)


def drawn_mask(shape: tuple[int, ...], generator: torch.Generator, caution: int) -> Tensor:
    """Draw a mask that lets most through; all with caution 1, nothing with caution 2."""
    let_through = torch.rand(shape, generator=generator) < _LET_THROUGH
    return torch.full(shape, caution == 1) if caution else let_through


def _is_kept(kind: NodeKind, known: Tensor) -> bool:
    """Whether a known value is used as it is: numbers that are fed in may be of any size."""
    return kind is not NodeKind.INPUT or not known.is_floating_point() or _is_mask(known)


def _dtype(name: str) -> torch.dtype:
    return torch.complex128 if "complex" in name else torch.float64


def _wide(value: Tensor) -> Tensor:
    if value.is_floating_point():
        return value.to("cpu", torch.float64)
    return value.to("cpu", torch.complex128) if value.is_complex() else value.cpu()


def _is_mask(value: Tensor) -> bool:
    """Whether a known input holds nothing but what masks hold, of more kinds than one."""
    finite = value[torch.isfinite(value)]
    return len(finite) < value.numel() or set(finite.tolist()) == _MASK_VALUES


def _weight(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Matrices that keep lengths about as they are; gains around 1 and of either sign.

    Nothing starts at zero: a projection that does would hide what is behind it.
    """
    drawn = _normal(shape, generator, torch.float64)
    if len(shape) <= 1:
        return 0.3 * drawn + torch.sign(drawn) * 0.7
    return drawn / math.sqrt(max(math.prod(shape[1:]), 1))


def _normal(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Numbers in general position, none of them close to 0."""
    drawn = torch.randn(shape, generator=generator, dtype=dtype)
    return drawn + 0.1 * torch.sgn(drawn)


def _whole(graph: OpGraph, leaf: LeafLike, generator: torch.Generator, caution: int) -> Tensor:
    low, high = leaf.meta.low, leaf.meta.high
    if low is None or high is None:
        low, high = 0, 1 if caution else max(min(_limits(graph, leaf.node), default=2) - 1, 0)
    drawn = torch.randint(int(low), int(high) + 1, leaf.meta.shape, generator=generator)
    return drawn.to(getattr(torch, leaf.meta.dtype, torch.int64))


def _limits(graph: OpGraph, leaf: int) -> Iterator[int]:
    """Yield how many rows or classes there are, wherever an integer leaf picks some."""
    pending, seen = [leaf], {leaf}
    while pending:
        node = pending.pop()
        for user in graph.users[node]:
            reader = graph[user]
            yield from _picked(graph, reader, node)
            if reader.base_op in _VIEWS and user not in seen:
                seen.add(user)
                pending.append(user)


def _picked(graph: OpGraph, reader: Node, index: int) -> Iterator[int]:
    arguments = dict(reader.arguments)
    table = arguments.get("weight") or arguments.get("self")
    if not isinstance(table, Ref) or table.node == index:
        return
    shape = graph.meta(table).shape
    match reader.base_op:
        case "aten.embedding" | "aten.index" if shape:
            yield shape[0]
        case "aten.gather" | "aten.index_select" | "aten.scatter" | "aten.scatter_add":
            dim = arguments.get("dim", 0)
            if isinstance(dim, int) and shape:
                yield shape[dim]
        case "aten.nll_loss_forward" | "aten.nll_loss" | "aten.nll_loss2d_forward" if shape:
            self = arguments.get("self")
            yield graph.meta(self).shape[min(1, len(shape) - 1)] if isinstance(self, Ref) else 2
        case _:
            return


def free_state(crossing: Tensor, generator: torch.Generator) -> Tensor:
    """Return a boundary value as it is scaled from: what crossed, with a mean square of 1.

    Elements that are next to nothing at these weights are none, the state may hold any number; and no
    position is so short beside the others that it is all eps.
    """
    if crossing.dtype == torch.bool or not crossing.numel():
        return crossing
    if not (crossing.is_floating_point() or crossing.is_complex()):
        return crossing
    size = crossing.abs().square().mean().sqrt()
    if not torch.isfinite(size) or size == 0:
        return _normal(tuple(crossing.shape), generator, crossing.dtype)
    drawn = _normal(tuple(crossing.shape), generator, crossing.dtype)
    lengths = crossing.abs().square().mean(dim=-1, keepdim=True).sqrt() if crossing.dim() else size
    slight = crossing.abs() < SLIGHT * size
    return torch.where(slight | (lengths < SHORT * size), drawn, crossing / size)
