"""Recurrence inside one call: nn.LSTM and its kin unroll over time within a single operator call."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from scaleaudit.domain.graph import Node, NodeKind, OpGraph


def step_sites(graph: OpGraph, weights: tuple[frozenset[int], ...]) -> dict[int, str]:
    """Return the site of every operator that recurs within one call, the same at every step.

    All operators of such a call stand on one instruction, so only their order tells them apart:
    a weight that is used again starts the next step, and steps are the same run of operators.
    """
    sites: dict[int, str] = {}
    for run in _runs(graph):
        for anchors in _recurring(run, weights):
            sites.update(_aligned(run, anchors))
    return sites


def _runs(graph: OpGraph) -> Iterator[list[Node]]:
    """The operators that stand on the same instruction of the same running frames."""
    calls = (node for node in graph.nodes if node.kind is NodeKind.CALL)
    for _, nodes in groupby(calls, key=lambda node: node.turn_frames):
        yield list(nodes)


def _recurring(run: list[Node], weights: tuple[frozenset[int], ...]) -> Iterator[list[int]]:
    """For every weight that recurs in a run, the positions of the operator that uses it."""
    uses: dict[tuple[str, frozenset[int]], list[int]] = {}
    for position, node in enumerate(run):
        if weights[node.id] and len(list(node.refs())) > 1:
            uses.setdefault((node.op, weights[node.id]), []).append(position)
    yield from (positions for positions in uses.values() if len(positions) > 1)


def _aligned(run: list[Node], anchors: list[int]) -> dict[int, str]:
    """Give the operators of every step the sites of those of the first."""
    gaps = {second - first for first, second in pairwise(anchors)}
    if len(gaps) != 1:
        return {}
    length = gaps.pop()
    first = run[anchors[0] : anchors[0] + length]
    sites: dict[int, str] = {}
    for start in anchors:
        step = run[start : start + length]
        for node, model in zip(step, first, strict=False):
            if node.op != model.op:
                break
            sites[node.id] = model.site
    return sites
