"""What the arguments of a program are for: read off the graph and the values, never off names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref, ancestors
from scaleaudit.domain.loops import LoopNest

_FEWEST_DIMS_OF_AN_IMAGE = 4


class Kind(Enum):
    """What data an argument takes.

    KEPT: it is left as it was given: masks, positions, initial states, constants.
    """

    TOKENS = "tokens"
    CLASSES = "classes"
    FLOATS = "floats"
    IMAGES = "images"
    RESPONSES = "responses"
    SWITCHES = "switches"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Role:
    """What one argument is for.

    Attributes:
        given: Its value in the target.
        limit: Integers are below it.
        is_input: Whether the loop reads it; else the loss alone does.
    """

    name: str
    kind: Kind
    given: Tensor
    limit: int = 0
    is_input: bool = True


def roles_of(graph: OpGraph, nest: LoopNest, given: Mapping[str, Tensor]) -> tuple[Role, ...]:
    """Say of every argument what it is for."""
    boundary = tuple(
        ref.node for loop in nest.loops for state in loop.states for ref in state.boundary
    )
    before = ancestors(graph, boundary)
    leaves = [node for node in graph.nodes if node.kind is NodeKind.INPUT and node.op in given]
    return tuple(_role(graph, leaf, given[leaf.op], is_input=leaf.id in before) for leaf in leaves)


def _role(graph: OpGraph, leaf: Node, given: Tensor, *, is_input: bool) -> Role:
    kind, limit = Kind.KEPT, 0
    if not given.numel() or given.dtype == torch.bool:
        pass
    elif given.is_floating_point():
        kind = _floating(given, is_input=is_input)
    elif not given.is_complex() and given.dim() and not _is_count(given):
        limit = _limit(graph, leaf) or int(given.max()) + 1
        kind = Kind.TOKENS if is_input else Kind.CLASSES
        if limit < 2:  # noqa: PLR2004 - a single class is nothing to learn
            kind = Kind.KEPT
    return Role(leaf.op, kind, given, limit, is_input)


def _floating(given: Tensor, *, is_input: bool) -> Kind:
    if given.dim() == 0 or bool((given == given.flatten()[0]).all()):
        return Kind.KEPT
    if bool(((given == 0) | (given == 1)).all()):
        return Kind.KEPT if is_input else Kind.SWITCHES
    if not is_input:
        return Kind.RESPONSES
    return Kind.IMAGES if given.dim() >= _FEWEST_DIMS_OF_AN_IMAGE else Kind.FLOATS


def _is_count(given: Tensor) -> bool:
    """Whether integers are positions, or the same number everywhere: what is no data."""
    row = given if given.dim() else given.reshape(1)
    length = row.shape[-1]
    if length < 2:  # noqa: PLR2004 - there is no step between fewer
        return False
    steps = row[..., 1:] - row[..., :-1]
    return bool((steps == 1).all()) or bool((given == given.flatten()[0]).all())


def _limit(graph: OpGraph, leaf: Node) -> int | None:
    """Return the number of things that integers choose among; None where nothing is chosen."""
    limits = []
    pending, seen = [leaf.id], {leaf.id}
    while pending:
        here = pending.pop()
        for user in map(graph.nodes.__getitem__, graph.users[here]):
            limits += _chosen_among(graph, user, here)
            whole = user.outputs[0].dtype.startswith(("int", "uint"))
            if whole and user.id not in seen and user.base_op in _UNCHANGED:
                seen.add(user.id)
                pending.append(user.id)
    return min(limits, default=None)


def _chosen_among(graph: OpGraph, user: Node, index: int) -> list[int]:
    """Return the size of what a node chooses from by an index."""
    arguments = dict(user.arguments)
    choice = _CHOICES.get(user.base_op)
    if choice is None:
        return []
    source, by = (arguments.get(name) for name in choice)
    if not isinstance(source, Ref) or not _is_index(by, index):
        return []
    shape = graph.meta(source).shape
    if user.base_op in _OF_CLASSES:
        return [shape[1] if len(shape) > 1 else shape[0]]
    dim = arguments.get("dim", 0)
    return [shape[dim]] if isinstance(dim, int) and shape else []


def _is_index(argument: object, index: int) -> bool:
    if isinstance(argument, tuple):
        return bool(argument) and _is_index(argument[0], index)
    return isinstance(argument, Ref) and argument.node == index


# By which argument which other one is chosen from.
_CHOICES = {
    "aten.embedding": ("weight", "indices"),
    "aten.index_select": ("self", "index"),
    "aten.index": ("self", "indices"),
    "aten.gather": ("self", "index"),
    "aten.scatter": ("self", "index"),
    "aten.nll_loss_forward": ("self", "target"),
    "aten.nll_loss2d_forward": ("self", "target"),
    "aten.nll_loss_nd": ("self", "target"),
}
_OF_CLASSES = frozenset({"aten.nll_loss_forward", "aten.nll_loss2d_forward", "aten.nll_loss_nd"})
# What hands integers on as they are.
_UNCHANGED = frozenset({
    "aten.view", "aten._unsafe_view", "aten.reshape", "aten.slice", "aten.select", "aten.clone",
    "aten.unsqueeze", "aten.squeeze", "aten.expand", "aten.transpose", "aten.permute", "aten.t",
    "aten.alias", "aten.detach", "aten._to_copy", "aten.cat", "aten.stack", "aten.contiguous",
    "aten.clamp", "aten.clamp_min", "aten.where", "aten.masked_fill", "aten.constant_pad_nd",
    "aten.roll", "aten.flip",
})  # fmt: skip
