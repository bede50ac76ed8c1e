"""Repeated layers, folded: what runs the same code several times in a row is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx

from scaleaudit.domain.graph import OpGraph
from scaleaudit.domain.picture import BoxKind
from scaleaudit.picturing.sketch import Sketch

# The parts of a stretch of a way, and what they are: equal stretches run the same code.
_Code: TypeAlias = tuple[object, ...]
_FROM_OUTSIDE = (BoxKind.OTHER, BoxKind.SOURCE)
# A pattern of more stretches than this is no layer.
_LONGEST = 24


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What lies on a way between one part that every way passes and the next, that one included."""

    parts: tuple[int, ...]
    code: _Code


def fold(
    sketch: Sketch, graph: OpGraph, start: int, end: int, folded: frozenset[int]
) -> list[tuple[tuple[int, ...], int]]:
    """Fold repeated stretches on the ways from one part to another.

    Args:
        folded: Parts that are folded already.

    Returns:
        The parts that are left of each repetition, and how often they ran.
    """
    stretches = _stretches(sketch, graph, start, end)
    if any(folded.intersection(stretch.parts) for stretch in stretches):
        return []
    folds: list[tuple[tuple[int, ...], int]] = []
    gone: dict[int, int] = {}
    place = 0
    while place < len(stretches):
        period, times = _repetition([s.code for s in stretches[place:]])
        kept = stretches[place : place + period]
        if times > 1:
            folds.append((tuple(part for s in kept for part in s.parts), times))
        for again in range(1, times):
            for offset, stretch in enumerate(kept):
                other = stretches[place + again * period + offset]
                gone.update(zip(other.parts, stretch.parts, strict=True))
        place += period * times
    sketch.replace(gone)
    return folds


def _stretches(sketch: Sketch, graph: OpGraph, start: int, end: int) -> list[_Stretch]:
    """Cut the ways between two parts where all of them pass through one part."""
    if start == end or not nx.has_path(sketch.graph, start, end):
        return []
    between = nx.descendants(sketch.graph, start) & (nx.ancestors(sketch.graph, end) | {end})
    ways = sketch.graph.subgraph(between | {start})
    chain = _passed_by_all(ways, start, end)
    found: list[_Stretch] = []
    inner: list[int] = []
    ends = set(chain[1:])
    for name in nx.topological_sort(
        ways
    ):  # what lies before a part that all ways pass comes before it
        if name != start:
            inner.append(name)
        if name in ends:
            code = tuple(_code(sketch, graph, each) for each in inner)
            found.append(_Stretch(tuple(inner), code))
            inner = []
    return found


def _passed_by_all(ways: nx.DiGraph[int], start: int, end: int) -> list[int]:
    """Return the parts through which every way leads, in order."""
    above = nx.immediate_dominators(ways, start)
    chain = [end]
    while chain[-1] != start:
        chain.append(above[chain[-1]])
    return chain[::-1]


def _code(sketch: Sketch, graph: OpGraph, name: int) -> _Code:
    """What a part is: the places in the code that it runs, and what it reads from elsewhere."""
    part = sketch.parts[name]
    sites = tuple((graph[v].op, graph[v].site) for v in part.vertices if v >= 0)
    sources = sketch.graph.predecessors(name)
    outside = tuple(sorted(s for s in sources if sketch.parts[s].kind in _FROM_OUTSIDE))
    return part.kind, sites, outside


def _repetition(codes: Sequence[_Code]) -> tuple[int, int]:
    """Return the period at the start that covers most, and how often it is run through."""
    best = (1, 1)
    for period in range(1, min(_LONGEST, len(codes) // 2) + 1):
        times = 1
        while codes[times * period : (times + 1) * period] == codes[:period]:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = (period, times)
    return best
