"""Where what an edge says stands: beside it, where it covers neither a box nor another label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from scaleaudit.report.html.diagram.geometry import EDGE_SIZE, Frame, Place, Point, Route
from scaleaudit.report.html.diagram.lettering import shown, text_width

# Left, top, right, bottom.
_Area = tuple[float, float, float, float]

_BESIDE, _RISE, _FALL = 6.0, 9.0, 3.0
_ON_A_BOX, _ON_A_LINE, _OFF = 100.0, 15.0, 1000.0
_SHORT = 16.0


def labelled(
    routes: Sequence[Route], places: Sequence[Place], frames: Sequence[Frame]
) -> tuple[Point, ...]:
    """Find a place for the words of every edge, the one that hinders least."""
    boxes = [(p.left, p.top, p.right, p.bottom) for p in places]
    boxes += [(f.right - 36, f.bottom - 22, f.right, f.bottom) for f in frames]
    lines = [_area(*stretch) for each in routes for stretch in pairwise(each.corners)]
    found: list[Point] = []
    taken: list[_Area] = []
    for each in routes:
        width = text_width(shown(each.edge.degree), EDGE_SIZE)
        best, least = None, float("inf")
        for rank, point in enumerate(_beside(each, width)):
            area = (point[0], point[1] - _RISE, point[0] + width, point[1] + _FALL)
            cost = rank + (_OFF if area[0] < 0 else 0)
            cost += _ON_A_BOX * sum(_meet(area, other) for other in (*boxes, *taken))
            if cost < least:
                cost += _ON_A_LINE * sum(_meet(area, line) for line in lines)
            if cost < least:
                best, least, kept = point, cost, area
        assert best is not None
        found.append(best)
        taken.append(kept)
    return tuple(found)


def _beside(each: Route, width: float) -> Iterator[Point]:
    """Places beside an edge, the better ones first: right of the longest stretch down, then others."""
    corners = each.corners
    if each.edge.recurrent:
        x, y = corners[1]
        yield x + _BESIDE, y + _FALL
        return
    down = [(x, y, z) for (x, y), (other, z) in pairwise(corners) if x == other]
    down = [stretch for stretch in down if abs(stretch[2] - stretch[1]) >= _SHORT] or down
    for side in (_BESIDE, -_BESIDE - width):
        for x, y, z in sorted(down, key=lambda stretch: -abs(stretch[2] - stretch[1])):
            for height in (z - _RISE - 1, (y + z) / 2 + _FALL, y + _RISE + 6):
                yield x + side, height
    for (x, y), (other, z) in pairwise(corners):
        if y == z:
            yield (x + other - width) / 2, y - _FALL - 2


def _area(start: Point, end: Point) -> _Area:
    (x, y), (other, z) = start, end
    return min(x, other) - 1, min(y, z) - 1, max(x, other) + 1, max(y, z) + 1


def _meet(one: _Area, two: _Area) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
