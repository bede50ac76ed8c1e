"""Which operators of a program are the same code with the same weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scaleaudit.domain.graph import Node, NodeKind, OpGraph

# A tensor made of more parameters than these (g and v of weight_norm, say) is data, not a weight.
MAX_FUSED = 3


@dataclass(frozen=True, slots=True)
class Sites:
    """The classes of recurring operators.

    Attributes:
        key: For every node its class; None for leaves and for what only reshapes weights.
        weights: For every node the parameters that it uses directly.
        members: The nodes of every class, in execution order.
        elements: Number of elements of every parameter.
    """

    key: tuple[int | None, ...]
    weights: tuple[frozenset[int], ...]
    members: tuple[tuple[int, ...], ...]
    elements: dict[int, int]



def find_sites(graph: OpGraph) -> Sites:
    """Sort the operators of a program into classes: same place in the code, same weights."""
    made_of = _made_of_weights(graph)
    keys: list[int | None] = []
    weights: list[frozenset[int]] = []
    numbers: dict[tuple[str, frozenset[int]], int] = {}
    members: list[list[int]] = []
    for node in graph.nodes:
        used = frozenset().union(*(made_of[ref.node] or frozenset() for ref in node.refs()))
        weights.append(used if node.kind is NodeKind.CALL else frozenset())
        if node.kind is not NodeKind.CALL or _only_reshapes(node, made_of):
            keys.append(None)
            continue
        number = numbers.setdefault((node.site, used), len(numbers))
        if number == len(members):
            members.append([])
        members[number].append(node.id)
        keys.append(number)
    elements = {
        node.weight: math.prod(node.outputs[0].shape)
        for node in graph.nodes
        if node.weight is not None
    }
    return Sites(tuple(keys), tuple(weights), tuple(map(tuple, members)), elements)


def _made_of_weights(graph: OpGraph) -> list[frozenset[int] | None]:
    """For every node the parameters that it is made of, or None where it reads data."""
    made_of: list[frozenset[int] | None] = []
    for node in graph.nodes:
        if node.kind is NodeKind.PARAMETER and node.weight is not None:
            made_of.append(frozenset({node.weight}))
            continue
        parts = [made_of[ref.node] for ref in node.refs()]
        if node.kind is not NodeKind.CALL or not parts or None in parts:
            made_of.append(None)
            continue
        union = frozenset().union(*(part for part in parts if part is not None))
        made_of.append(union if len(union) <= MAX_FUSED else None)
    return made_of


def _only_reshapes(node: Node, made_of: list[frozenset[int] | None]) -> bool:
    """Whether a node is a view or a cast of one parameter."""
    refs = list(node.refs())
    return len(refs) == 1 and made_of[refs[0].node] is not None
