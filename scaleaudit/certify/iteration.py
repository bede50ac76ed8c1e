"""Vectors that a power iteration keeps: at random they are none, so they are iterated first."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from scaleaudit.certify.program import Env, Machine
from scaleaudit.domain.executable import Executable
from scaleaudit.domain.graph import Node, NodeKind, OpGraph, Ref

_PRODUCTS = frozenset({"aten.mv", "aten.dot", "aten.vdot"})
_COPIES = frozenset({"aten.clone", "aten.detach", "aten.alias", "aten._to_copy"})


def set_kept_vectors(program: Executable, machine: Machine, env: Env) -> bool:
    """Put singular vectors in the place of buffers that matrices are multiplied by.

    A spectral norm divides a matrix by the norm that its buffers show, which is right once the
    iteration that keeps them has converged.

    Returns:
        Whether anything was put, so that the program is to be run again.
    """
    found = False
    for leaf, node, other in _kept(program.graph):
        value = machine.value(other, env)
        if not isinstance(value, Tensor) or not value.isfinite().all():
            continue
        vector = torch.linalg.svd(value).Vh[0] if node.base_op == "aten.mv" else value
        env[program.node_of[leaf]] = vector / vector.norm()
        found = True
    return found


def _kept(graph: OpGraph) -> Iterator[tuple[int, Node, Ref]]:
    """Yield the buffers that are factors of a product, the product, and its other factor."""
    seen: set[int] = set()
    for node in graph.nodes:
        if node.base_op not in _PRODUCTS or len(node.operands) != len("ab"):
            continue
        first, second = node.operands
        sides = (
            ((second, first),) if node.base_op == "aten.mv" else ((first, second), (second, first))
        )
        for side, other in sides:
            leaf = _leaf(graph, side)
            if leaf.kind is NodeKind.BUFFER and leaf.id not in seen:
                seen.add(leaf.id)
                yield leaf.id, node, other


def _leaf(graph: OpGraph, ref: Ref) -> Node:
    """The node that a value was copied from."""
    node = graph[ref.node]
    while node.base_op in _COPIES:
        node = graph[node.operands[0].node]
    return node
