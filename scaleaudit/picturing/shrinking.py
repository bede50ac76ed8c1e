"""Taking parts together until a picture can be taken in at a glance."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

from scaleaudit.domain.picture import BoxKind
from scaleaudit.picturing.sketch import Sketch

MOST_BOXES = 20
# What leads from the state to the loss may be a loop of its own, unrolled.
MOST_READING = 10

# What is taken together first; ends of ways are never taken in.
_MERGING = {
    BoxKind.OPERATORS: 0,
    BoxKind.GATE: 1,
    BoxKind.ADD: 2,
    BoxKind.NORM: 3,
    BoxKind.UNKNOWN: 4,
}


def join_chains(sketch: Sketch) -> None:
    """Make one part of operators that only follow each other, and of a readout and its own."""
    for target in list(nx.topological_sort(sketch.graph)):
        sources = list(sketch.graph.predecessors(target))
        if len(sources) != 1 or sketch.graph.out_degree(sources[0]) != 1:
            continue
        kinds = {sketch.parts[sources[0]].kind, sketch.parts[target].kind}
        if kinds <= _CHAINS and BoxKind.OPERATORS in kinds:
            (into,) = kinds - {BoxKind.OPERATORS} or {BoxKind.OPERATORS}
            sketch.merge(sources[0], target, into)
            sketch.parts[target].boxes = 0


_CHAINS = {BoxKind.OPERATORS, BoxKind.READOUT, BoxKind.PENALTY}


def shrink(sketch: Sketch, fold_of: Mapping[int, int], turn: set[int]) -> None:
    """Take parts together, least telling ones first, until few enough are left.

    Args:
        fold_of: For every part of a fold which it is; none is taken together across its edge.
        turn: The parts of the turn itself.
    """
    reading = set(sketch.parts) - turn
    _shrink(sketch, fold_of, reading, MOST_READING)
    _shrink(sketch, fold_of, set(sketch.parts), MOST_BOXES)


def _shrink(sketch: Sketch, fold_of: Mapping[int, int], parts: set[int], most: int) -> None:
    while len(parts) > most:
        found = _candidate(sketch, fold_of, parts)
        if found is None:
            return
        sketch.merge(*found, BoxKind.OPERATORS)
        parts.discard(found[0])


def _candidate(
    sketch: Sketch, fold_of: Mapping[int, int], parts: set[int]
) -> tuple[int, int] | None:
    """Return two parts that a link joins and no other way, of the least telling kinds."""
    ranked = sorted(
        (max(ranks), sum(ranks), source, target)
        for source, target in sketch.graph.edges
        if {source, target} <= parts
        and fold_of.get(source) == fold_of.get(target)
        and (kinds := [sketch.parts[n].kind for n in (source, target)])
        and all(kind in _MERGING for kind in kinds)
        and (ranks := [_MERGING[kind] for kind in kinds])
    )
    for _, _, source, target in ranked:
        if not _goes_around(sketch.graph, source, target):
            return source, target
    return None


def _goes_around(graph: nx.DiGraph[int], source: int, target: int) -> bool:
    """Whether another way than the link leads from one part to the other."""
    others = [after for after in graph.successors(source) if after != target]
    return any(target in nx.descendants(graph, after) for after in others)
