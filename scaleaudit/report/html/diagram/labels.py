"""Where what an edge says stands: beside it, where it covers neither a box nor another label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from scaleaudit.report.html.diagram.geometry import Frame, Place, Point, Route
from scaleaudit.report.html.diagram.lettering import LABEL_SIZE, edge_width, text_width

# Left, top, right, bottom.
_Area = tuple[float, float, float, float]

_BESIDE, _RISE, _FALL = 6.0, 9.0, 3.0
_ON_A_BOX, _ON_A_LINE, _OFF = 100.0, 15.0, 1000.0
_SHORT = 16.0


def labelled(
    routes: Sequence[Route],
    places: Sequence[Place],
    frames: Sequence[Frame],
    times: Sequence[Point],
) -> tuple[Point, ...]:
    """Find a place for the words of every edge, the one that hinders least."""
    boxes = [_of(place) for place in places]
    boxes += [_around(point, frame) for point, frame in zip(times, frames, strict=True)]
    lines = [_area(*stretch) for each in routes for stretch in pairwise(each.corners)]
    found: list[Point] = []
    taken: list[_Area] = []
    for each in routes:
        width = edge_width(each.edge)
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


def counted(frames: Sequence[Frame], places: Sequence[Place]) -> tuple[Point, ...]:
    """Find a corner for what every frame says: a lower one inside, where no box lies, else beside."""
    found = []
    boxes = [_of(place) for place in places]
    for frame in frames:
        width = text_width(frame.says, LABEL_SIZE, bold=True)
        corners = (
            (frame.right - width - _BESIDE, frame.bottom - _BESIDE),
            (frame.left + _BESIDE, frame.bottom - _BESIDE),
            (frame.right + _BESIDE, frame.bottom),
        )
        free = [at for at in corners if not any(_meet(_around(at, frame), b) for b in boxes)]
        found.append((free or corners[-1:])[0])
    return tuple(found)


def _around(point: Point, frame: Frame) -> _Area:
    width = text_width(frame.says, LABEL_SIZE, bold=True)
    return point[0], point[1] - LABEL_SIZE, point[0] + width, point[1] + _FALL


def _of(place: Place) -> _Area:
    return place.left, place.top, place.right, place.bottom


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
