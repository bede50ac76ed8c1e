"""Where edges run: down from box to box, across in the gaps between layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scaleaudit.domain.picture import Edge
from scaleaudit.report.html.diagram.columns import Columns
from scaleaudit.report.html.diagram.geometry import CIRCLES, MARGIN, ROUND, Place, Point, Route
from scaleaudit.report.html.diagram.ranks import Item, Layers

_TRACK, _LANDING, _TAKE_OFF = 7.0, 26.0, 9.0
# How far from its middle another edge enters a circle from above.
_OFFSET = 6.0
_STRAIGHT = 0.5

_Way = tuple[Edge, tuple[Item, ...]]


@dataclass(frozen=True, slots=True)
class Course:
    """The lines that an edge follows from layer to layer, from its start to its end.

    Attributes:
        sideways: Whether it enters its target from the side, so that the last line is its target's.
    """

    edge: Edge
    items: tuple[Item, ...]
    lines: tuple[float, ...]
    sideways: bool

    def jogs(self) -> list[tuple[int, float, float]]:
        """Return where it goes across: below which layer, from which line to which."""
        steps = list(zip(self.items, pairwise(self.lines), strict=False))
        if self.sideways:
            steps.pop()
        return [
            (item.rank, here, there)
            for item, (here, there) in steps
            if abs(here - there) > _STRAIGHT
        ]


def courses(layers: Layers, columns: Columns) -> tuple[Course, ...]:
    """Find for every edge the lines that it follows."""
    entering: dict[Item, list[_Way]] = {}
    for way in layers.ways:
        entering.setdefault(way[1][-1], []).append(way)
    entries: dict[Edge, tuple[float, bool]] = {}
    for target, ways in entering.items():
        if target.box is not None and target.box.kind in CIRCLES:
            entries |= _into_circle(layers, columns, target, ways)
        else:
            entries |= _into_box(columns, target, ways)
    found = []
    for edge, items in layers.ways:
        end, sideways = entries[edge]
        inner = [columns.x[item] for item in items[1:-1]]
        start = columns.x[items[0]] if items[0].rank else [*inner, end][0]
        found.append(Course(edge, items, (start, *inner, end), sideways))
    return tuple(found)


def _into_box(columns: Columns, target: Item, ways: list[_Way]) -> dict[Edge, tuple[float, bool]]:
    """One straight from above where there is one, the others beside it in the order in which they come."""
    middle, (half, _) = columns.x[target], columns.extent(target)
    ordered = sorted(ways, key=lambda way: _coming_from(columns, way))
    straight = [w for w in ordered if abs(_coming_from(columns, w) - middle) <= _STRAIGHT]
    if not straight:
        return _side_by_side(ordered, middle - half, middle + half)
    place = ordered.index(straight[0])
    found = {straight[0][0]: (middle, False)}
    found |= _side_by_side(ordered[:place], middle - half, middle)
    return found | _side_by_side(ordered[place + 1 :], middle, middle + half)


def _side_by_side(ways: list[_Way], left: float, right: float) -> dict[Edge, tuple[float, bool]]:
    step = (right - left) / (len(ways) + 1)
    return {edge: (left + step * place, False) for place, (edge, _) in enumerate(ways, 1)}


def _coming_from(columns: Columns, way: _Way) -> float:
    *_, before, target = way[1]
    return columns.x[before] if before.rank else columns.x[target]


def _into_circle(
    layers: Layers, columns: Columns, target: Item, ways: list[_Way]
) -> dict[Edge, tuple[float, bool]]:
    """The straightest from above, one from each side where nothing is in the way."""
    middle = columns.x[target]
    ordered = sorted(ways, key=lambda way: abs(_coming_from(columns, way) - middle))
    entries = {ordered[0][0]: (middle, False)}
    sides = set()
    for way in ordered[1:]:
        there = _coming_from(columns, way)
        side = 1 if there > middle else -1
        if side not in sides and way[1][-2].rank and _is_clear(layers, columns, target, there):
            sides.add(side)
            entries[way[0]] = (middle + side * ROUND / 2, True)
        else:
            entries[way[0]] = (middle + side * min(_OFFSET * len(entries), ROUND / 2 - 3), False)
    return entries


def _is_clear(layers: Layers, columns: Columns, target: Item, line: float) -> bool:
    """Whether nothing in the layer of a circle lies between it and a line beside it."""
    low, high = sorted((columns.x[target], line))
    if high - low < ROUND:
        return False
    for item in layers.items[target.rank]:
        before, after = columns.extent(item)
        if item.box is None:
            after = before
        if item is not target and columns.x[item] + after > low and columns.x[item] - before < high:
            return False
    return True


class Gap:
    """The room between two layers: edges go across in tracks that do not overlap."""

    def __init__(self, top: float, jogs: Sequence[tuple[float, float]]) -> None:
        self._top = top
        self._tracks: list[list[tuple[float, float]]] = []
        self._track: dict[tuple[float, float], int] = {}
        for jog in sorted(set(jogs), key=lambda jog: abs(jog[0] - jog[1])):
            self._track[jog] = self._free(jog)
        self.bottom = top + _TAKE_OFF + _TRACK * max(0, len(self._tracks) - 1) + _LANDING

    def _free(self, jog: tuple[float, float]) -> int:
        """Return the first track where a jog meets none but such as come from the same line."""
        low, high = sorted(jog)
        for number, taken in enumerate(self._tracks):
            if all(
                jog[0] == start or high < min(start, end) - 4 or low > max(start, end) + 4
                for start, end in taken
            ):
                taken.append(jog)
                return number
        self._tracks.append([jog])
        return len(self._tracks) - 1

    def level(self, here: float, there: float) -> float:
        """Return how far down an edge goes across."""
        return self._top + _TAKE_OFF + _TRACK * self._track[here, there]


def route(course: Course, places: Mapping[int, Place], gaps: Sequence[Gap]) -> Route:
    """Return the corners of an edge."""
    source, target = places[course.edge.source], places[course.edge.target]
    line = course.lines[0]
    corners: list[Point] = [(line, source.bottom)]
    for rank, here, there in course.jogs():
        level = gaps[rank].level(here, there)
        corners += [(line, level), (there, level)]
        line = there
    if course.sideways:
        corners += [(line, target.level), (course.lines[-1], target.level)]
    else:
        corners.append((line, target.upper_edge(line)))
    return Route(course.edge, tuple(corners))


def round_trip(around: Edge, places: Mapping[int, Place], low: float) -> Route:
    """Lead on to the next turn: down from the last box, and up again on the far left."""
    source, target = places[around.source], places[around.target]
    x = MARGIN / 3
    corners = (
        (source.middle, source.bottom),
        (source.middle, low),
        (x, low),
        (x, target.level),
        (target.left, target.level),
    )
    return Route(around, corners)
