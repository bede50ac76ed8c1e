"""Coordinates across: where in its layer every box lies, and every edge that passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from scaleaudit.report.html.diagram.geometry import MARGIN, Size
from scaleaudit.report.html.diagram.lettering import edge_width
from scaleaudit.report.html.diagram.ranks import Item, Layers, is_way

# Room beside a way for what its edges say.
_BESIDE = 62.0
_GUTTER, _COLUMN_GAP = 20.0, 30.0
# Room on both sides of a line.
_LINE = 6.0


class Columns:
    """The place of every item across.

    Attributes:
        x: The middle of a box, or the line of an edge that passes.
        right: The right end of it all.
    """

    def __init__(self, layers: Layers, sizes: Mapping[int, Size]) -> None:
        self._sizes = sizes
        self._saying = {
            items[1]: edge_width(edge)
            for edge, items in layers.ways
            if items[1].edge is not None and not is_way(items[1].column)
        }
        self._above: dict[Item, list[Item]] = {}
        self._near: dict[Item, list[Item]] = {}
        for _, items in layers.ways:
            for upper, lower in pairwise(items):
                self._above.setdefault(lower, []).append(upper)
                self._near.setdefault(lower, []).append(upper)
                self._near.setdefault(upper, []).append(lower)
        self.x: dict[Item, float] = dict.fromkeys(layers.items[0], MARGIN)
        self.right = self._lay_out(layers)

    def extent(self, item: Item) -> tuple[float, float]:
        """Return how far an item reaches to the left and to the right of its place."""
        if item.box is not None:
            half = self._sizes[item.box.id].width / 2
            return half, half
        return _LINE, _LINE + self._saying.get(item, 0.0)

    def _width(self, item: Item) -> float:
        return sum(self.extent(item))

    def _lay_out(self, layers: Layers) -> float:
        left = right = MARGIN
        for column in sorted({item.column for row in layers.items[1:] for item in row}):
            rows = [[i for i in row if i.column == column] for row in layers.items[1:]]
            room = max((self._needed(row) for row in rows), default=0.0)
            if room > 0:
                right = left + room
                self._fill(rows, left, room, align=not is_way(column))
                left = right + (_BESIDE if is_way(column) else _COLUMN_GAP)
        return right

    def _needed(self, row: Sequence[Item]) -> float:
        return sum(map(self._width, row)) + _GUTTER * max(0, len(row) - 1)

    def _fill(self, rows: list[list[Item]], left: float, room: float, *, align: bool) -> None:
        """Put items in the middle of their column, or below those that they are joined to."""
        for row in rows:
            start = left + (room - self._needed(row)) / 2
            for item in row:
                before, after = self.extent(item)
                if not align and item.box is None:
                    before = after = (before + after) / 2
                self.x[item] = start + before
                start += before + after + _GUTTER
        if not align:
            return
        for ordered, towards in (
            (rows, self._near),
            (rows[::-1], self._near),
            (rows, self._near),
            (rows, self._above),
        ):
            for row in ordered:
                wanted = [self._mean(item, towards.get(item, ())) for item in row]
                self._settle(row, wanted, left, left + room)

    def _mean(self, item: Item, others: Sequence[Item]) -> float:
        beside = [self.x[n] for n in others if n.column == item.column and n in self.x]
        return sum(beside) / len(beside) if beside else self.x[item]

    def _settle(self, row: list[Item], wanted: list[float], left: float, right: float) -> None:
        """Keep the order and the distances, and stay within the column."""
        start = left
        for item, place in zip(row, wanted, strict=True):
            before, after = self.extent(item)
            self.x[item] = max(place, start + before)
            start = self.x[item] + after + _GUTTER
        end = right
        for item in reversed(row):
            before, after = self.extent(item)
            self.x[item] = min(self.x[item], end - after)
            end = self.x[item] - before - _GUTTER
