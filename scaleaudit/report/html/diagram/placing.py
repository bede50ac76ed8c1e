"""From a picture to coordinates: layers, then columns, then rows, then edges and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scaleaudit.domain.picture import Picture
from scaleaudit.report.html.diagram.columns import Columns
from scaleaudit.report.html.diagram.geometry import MARGIN, Frame, Place, Plan, Size
from scaleaudit.report.html.diagram.labels import counted, labelled
from scaleaudit.report.html.diagram.lettering import edge_width
from scaleaudit.report.html.diagram.ranks import Item, Layers, layered
from scaleaudit.report.html.diagram.routing import Course, Gap, courses, round_trip, route

# Below the box that leads on to the next turn, and below the border of what is folded.
_TURNING, _FRAMED = 20.0, 12.0
_AROUND = 10.0
# Between a row that is folded and one that is not.
_AT_BORDER = 14.0


def planned(picture: Picture) -> Plan:
    """Find a place for everything in a picture."""
    handing_on = {edge.source for edge in picture.edges}
    sizes = {box.id: Size.of(box, ends=box.id not in handing_on) for box in picture.boxes}
    layers = layered(picture)
    columns = Columns(layers, sizes)
    courses_of_all = courses(layers, columns)
    folded = frozenset(name for fold in picture.folds for name in fold.boxes)
    rows = _Rows(layers, columns, sizes, courses_of_all, folded)
    frames = _frames(picture, rows.places)
    routes = [route(course, rows.places, rows.gaps) for course in courses_of_all]
    if layers.around is not None:
        routes.append(round_trip(layers.around, rows.places, rows.turning))
    places = tuple(rows.places.values())
    times = counted(frames, places)
    words = labelled(routes, places, frames, times)
    ends = [place.right for place in places] + [frame.right for frame in frames]
    ends += [x + edge_width(each.edge) for (x, _), each in zip(words, routes, strict=True)]
    return Plan(max(ends) + _AROUND, rows.bottom, places, tuple(routes), words, frames, times)


class _Rows:
    """Coordinates down.

    Attributes:
        places: Every box where it lies.
        gaps: The room below every layer.
        turning: How far down the edge to the next turn goes.
        bottom: The end of it all.
    """

    def __init__(
        self,
        layers: Layers,
        columns: Columns,
        sizes: Mapping[int, Size],
        found: Sequence[Course],
        folded: frozenset[int],
    ) -> None:
        self.places: dict[int, Place] = {}
        self.gaps: list[Gap] = []
        self.turning = self.bottom = 0.0
        jogs = [jog for course in found for jog in course.jogs()]
        last = layers.around.source if layers.around is not None else -1
        top = _AROUND
        for rank, row in enumerate(layers.items):
            boxes = [(item, item.box) for item in row if item.box is not None]
            height = max((sizes[box.id].height for _, box in boxes), default=0.0)
            for item, box in boxes:
                size = sizes[box.id]
                left = columns.x[item] - size.width / 2 if rank else MARGIN
                width = size.width if rank else max(size.width, columns.right - MARGIN)
                middle = top + (height - size.height) / 2
                self.places[box.id] = size.at(box, left, middle, width)
            gap = Gap(top + height, [jog[1:] for jog in jogs if jog[0] == rank])
            self.gaps.append(gap)
            self.bottom = max(self.bottom, top + height + _AROUND)
            top = gap.bottom
            if last in self.places and not self.turning:
                framed = _FRAMED if last in folded else 0.0
                self.turning = self.places[last].bottom + _TURNING + framed
                self.bottom = max(self.bottom, self.turning + _AROUND)
                top = max(top, self.turning + _AROUND)
            below = layers.items[rank + 1] if rank + 1 < len(layers.items) else ()
            if below and _meets(row, folded) != _meets(below, folded):
                top += _AT_BORDER


def _meets(row: Sequence[Item], folded: frozenset[int]) -> bool:
    return any(item.box is not None and item.box.id in folded for item in row)


def _frames(picture: Picture, places: Mapping[int, Place]) -> tuple[Frame, ...]:
    found = []
    for fold in picture.folds:
        inside = [places[name] for name in fold.boxes]
        frame = Frame(
            min(place.left for place in inside) - _AROUND,
            min(place.top for place in inside) - 2 * _AROUND,
            max(place.right for place in inside) + _AROUND,
            max(place.bottom for place in inside) + _AROUND,
            f"× {fold.times}",
        )
        found.append(frame)
    return tuple(found)
