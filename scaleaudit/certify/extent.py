"""How much it takes to certify a program: whether it is small, and whether it fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scaleaudit.certify.thresholds import FACTORS
from scaleaudit.domain.claims import LoopClaims
from scaleaudit.domain.graph import OpGraph

# Seconds on one core of a laptop, measured over the examples and the models under tests: of
# running and comparing one node at one factor, and of one element of its result.
_A_NODE, _AN_ELEMENT = 3e-5, 5e-9
# Up to so many seconds are spent unasked: less than a third of what a small model's audit takes.
SMALL = 0.2
# Values and what autograd keeps of them, in float64, at every factor and unscaled.
_BYTES = 8 * 2 * (1 + len(FACTORS))


def seconds(graph: OpGraph, claims: Sequence[LoopClaims]) -> float:
    """Estimate how long certification takes where nothing disagrees."""
    sizes = [sum(math.prod(meta.shape) for meta in node.outputs) for node in graph.nodes]
    work = sum(_A_NODE + _AN_ELEMENT * size for size in sizes)
    for loop in claims:
        for each in loop.passes:
            reached = {ref.node for ref in each.values}
            work += sum(_A_NODE + _AN_ELEMENT * sizes[node] for node in reached) * len(FACTORS)
    return work


def memory(graph: OpGraph) -> int:
    """Estimate the bytes that certification takes."""
    return _BYTES * sum(math.prod(meta.shape) for node in graph.nodes for meta in node.outputs)
