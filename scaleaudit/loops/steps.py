"""Recurrence inside one call: nn.LSTM and its kin unroll over time within a single operator call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from scaleaudit.domain.graph import Node, NodeKind, OpGraph


@dataclass(frozen=True, slots=True)
class Likes:
    """The same operator in two steps.

    Attributes:
        first: In the first one, which stands in the same place in every call.
        usual: In a later one: in the first a state may be made of parameters alone.
    """

    first: int
    usual: int


def step_likes(graph: OpGraph, weights: tuple[frozenset[int], ...]) -> dict[int, Likes]:
    """Return, for every operator that recurs within one call, its like in other steps.

    All operators of such a call stand on one instruction, so only their order tells them apart:
    a weight that is used again starts the next step, and steps are the same run of operators.
    """
    models: dict[int, Likes] = {}
    for run in _runs(graph):
        for anchors in _recurring(run, weights):
            models.update(_aligned(run, anchors))
    return models


def _runs(graph: OpGraph) -> Iterator[list[Node]]:
    """The operators that stand on the same instruction of the same running frames."""
    calls = (node for node in graph.nodes if node.kind is NodeKind.CALL)
    for _, nodes in groupby(calls, key=lambda node: node.turn_frames):
        yield list(nodes)


def _recurring(run: list[Node], weights: tuple[frozenset[int], ...]) -> Iterator[list[int]]:
    """The positions of an operator that uses a weight again and again, one for each recurrence.

    Layers follow each other; of several weights of one layer the first one used counts its steps.
    """
    uses: dict[tuple[str, frozenset[int]], list[int]] = {}
    for position, node in enumerate(run):
        if weights[node.id] and len(node.operands) > 1:
            uses.setdefault((node.op, weights[node.id]), []).append(position)
    series = (_with_first(run, each, weights) for each in uses.values() if len(each) > 1)
    end = -1
    for positions in sorted(series):
        if positions[0] > end:
            yield positions
            end = positions[-1]


def _with_first(
    run: list[Node], anchors: list[int], weights: tuple[frozenset[int], ...]
) -> list[int]:
    """Add the first step, which uses more weights than the others where its state starts as one."""
    op, used = run[anchors[0]].op, weights[run[anchors[0]].id]
    earlier = [p for p in range(anchors[0]) if run[p].op == op and used <= weights[run[p].id]]
    return [*earlier[-1:], *anchors]


def _aligned(run: list[Node], anchors: list[int]) -> dict[int, Likes]:
    """Give the operators of every step their likes.

    The first step may lack what another has, and the last is followed by other operators:
    operators are told apart by their order among their like.
    """
    lengths = Counter(second - first for first, second in pairwise(anchors))
    usual = lengths.most_common(1)[0][0]
    bounds = [*pairwise(anchors), (anchors[-1], anchors[-1] + usual)]
    steps = [list(_ordinals(run[first:second])) for first, second in bounds]
    first = {key: node.id for step in reversed(steps) for key, node in step}
    later = {key: node.id for step in reversed(steps[1:]) for key, node in step}
    return {
        node.id: Likes(first[key], later.get(key, node.id)) for step in steps for key, node in step
    }


def _ordinals(step: list[Node]) -> Iterator[tuple[tuple[str, int], Node]]:
    """Number the operators of a step among those of the same kind."""
    seen: Counter[str] = Counter()
    for node in step:
        yield (node.op, seen[node.op]), node
        seen[node.op] += 1
