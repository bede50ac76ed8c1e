"""The layers of a picture, and its columns: the way around, what a turn adds, what the loss reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from scaleaudit.domain.picture import Box, BoxKind, Edge, Picture, Role

# Columns, from the left: ways, on which sums lie one below the other, have even numbers, and what is
# added on a way has the next. The way of the state around the loop is the first; every readout has
# one of its own.
WAY, TURN = 0, 1


def is_way(column: int) -> bool:
    """Whether sums lie in a column one below the other."""
    return column % 2 == 0


# What lies on the way of the state itself.
_ON_THE_WAY = frozenset({BoxKind.STATE, BoxKind.ADD, BoxKind.GATE})


@dataclass(frozen=True, slots=True)
class Item:
    """What takes room in a layer: a box, or an edge that passes through it.

    Attributes:
        box: None for an edge that passes.
        edge: The edge that passes; None for a box.
    """

    rank: int
    column: int
    box: Box | None = None
    edge: Edge | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """The boxes of a picture in layers; edges lead from one layer to the next.

    Attributes:
        items: Layer by layer, each from left to right.
        ways: For every edge that is not recurrent the items that it leads through, ends included.
        around: The edge that leads on to the next turn, where there is one.
    """

    items: tuple[tuple[Item, ...], ...]
    ways: tuple[tuple[Edge, tuple[Item, ...]], ...]
    around: Edge | None


def layered(picture: Picture) -> Layers:
    """Put every box below all that it reads, and order each layer so that few edges cross."""
    graph = _graph(picture)
    around = next((edge for edge in picture.edges if edge.recurrent), None)
    ranks = _ranks(picture, graph)
    columns = _columns(picture, graph, around)
    boxes = {box.id: Item(ranks[box.id], columns[box.id], box=box) for box in picture.boxes}
    way = _way(picture, around)
    ways = []
    for edge in picture.edges:
        if not edge.recurrent:
            between = _between(edge, boxes, way)
            ways.append((edge, (boxes[edge.source], *between, boxes[edge.target])))
    rows: list[list[Item]] = [[] for _ in range(max(ranks.values(), default=0) + 1)]
    for item in (*boxes.values(), *(item for _, items in ways for item in items[1:-1])):
        rows[item.rank].append(item)
    return Layers(tuple(map(tuple, _ordered(rows, ways))), tuple(ways), around)


def _graph(picture: Picture) -> nx.DiGraph[int]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(box.id for box in picture.boxes)
    graph.add_edges_from((e.source, e.target) for e in picture.edges if not e.recurrent)
    return graph


def _ranks(picture: Picture, graph: nx.DiGraph[int]) -> dict[int, int]:
    """The longest way from the state; what nothing leads to lies just above what reads it."""
    state = {box.id for box in picture.boxes if box.kind is BoxKind.STATE}
    ranks: dict[int, int] = {}
    order = list(nx.topological_sort(graph))
    for name in order:
        above = [ranks[before] for before in graph.predecessors(name)]
        ranks[name] = 0 if name in state else 1 + max(above, default=0)
    for name in reversed(order):
        below = [ranks[after] for after in graph.successors(name)]
        if name not in state and below and not graph.in_degree(name):
            ranks[name] = min(below) - 1
    return ranks


def _columns(picture: Picture, graph: nx.DiGraph[int], around: Edge | None) -> dict[int, int]:
    turn = nx.ancestors(graph, around.source) | {around.source} if around is not None else set()
    way = set(_way(picture, around))
    columns = {name: WAY if name in way else TURN for name in turn | way}
    kinds = {box.id: box.kind for box in picture.boxes}
    reading = graph.subgraph(
        name for name, kind in kinds.items() if name not in columns and kind is not BoxKind.LOSS
    )
    strands = sorted(
        nx.weakly_connected_components(reading), key=lambda s: (-_led(graph, kinds, s), min(s))
    )
    for number, strand in enumerate(strands, 1):
        columns |= {n: 2 * number + (kinds[n] not in _ON_THE_WAY) for n in strand}
    return {name: columns.get(name, 2 + TURN) for name in kinds}


def _led(graph: nx.DiGraph[int], kinds: dict[int, BoxKind], strand: set[int]) -> bool:
    """Whether some boxes lead into the loss."""
    return any(kinds[after] is BoxKind.LOSS for name in strand for after in graph.successors(name))


def _way(picture: Picture, around: Edge | None) -> list[int]:
    """The boxes on the way of the state through a turn, from the last one back to it."""
    if around is None:
        return [box.id for box in picture.boxes if box.kind is BoxKind.STATE]
    kinds = {box.id: box.kind for box in picture.boxes}
    way = [around.source]
    while True:
        before = [e for e in picture.edges if e.target == way[-1] and not e.recurrent]
        if not before or kinds[way[-1]] is BoxKind.STATE:
            return way
        nearest = max(
            before,
            key=lambda e: (
                e.role is Role.CARRIES,
                kinds[e.source] in _ON_THE_WAY,
                e.source,
            ),
        )
        way.append(nearest.source)


def _between(edge: Edge, boxes: dict[int, Item], way: list[int]) -> list[Item]:
    """The room that an edge takes in the layers that it passes through."""
    source, target = boxes[edge.source], boxes[edge.target]
    follows = (edge.target, edge.source) in set(pairwise(way))
    column = max(source.column, target.column, TURN)
    if target.box is not None and target.box.kind is BoxKind.LOSS and source.column > TURN:
        column = source.column
    if follows:
        column = WAY
    elif is_way(target.column) and target.column > WAY and is_way(source.column):
        column = target.column
    return [Item(rank, column, edge=edge) for rank in range(source.rank + 1, target.rank)]


_SWEEPS = 6


def _ordered(rows: list[list[Item]], ways: list[tuple[Edge, tuple[Item, ...]]]) -> list[list[Item]]:
    """Order each layer by where its neighbours lie, column by column (the barycentre heuristic).

    References:
        K. Sugiyama, S. Tagawa, M. Toda, Methods for Visual Understanding of Hierarchical System
        Structures, 1981.
    """
    near: dict[Item, list[Item]] = {}
    for _, items in ways:
        for upper, lower in pairwise(items):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    for row in rows:
        row.sort(key=lambda item: item.column)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            place = {
                item: position / max(1, len(each) - 1)
                for each in rows
                for position, item in enumerate(each)
            }
            means = {item: _mean([place[n] for n in near.get(item, [item])]) for item in row}
            row.sort(key=lambda item: (item.column, means[item]))
    return rows


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
