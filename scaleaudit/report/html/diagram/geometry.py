"""The measures of a drawing, in pixels, and what has a place in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scaleaudit.domain.picture import Box, BoxKind, Edge
from scaleaudit.report.html.diagram.lettering import (
    DETAIL_SIZE,
    LABEL_SIZE,
    broken,
    shortened,
    shown,
)

BOX_WIDTH = 136.0
ROUND = 28.0
PADDING, LABEL_LINE, DETAIL_LINE = 8.0, 16.0, 13.0
MARGIN = 36.0
_DETAIL_LINES = 3

Point = tuple[float, float]

CIRCLES = frozenset({BoxKind.ADD, BoxKind.GATE})

# What a box says that it is, where its place and its border don't.
_KINDS = {
    BoxKind.STATE: "state",
    BoxKind.OTHER: "other state",
    BoxKind.SOURCE: "from elsewhere",
    BoxKind.READOUT: "readout",
    BoxKind.PENALTY: "penalty",
}
_ENDING = "readout that reaches no loss"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box lies, and the lines in it that fit."""

    box: Box
    left: float
    top: float
    width: float
    height: float
    label: str = ""
    details: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        """Its middle, from the left."""
        return self.left + self.width / 2

    @property
    def right(self) -> float:
        """Its right end."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower end."""
        return self.top + self.height

    @property
    def level(self) -> float:
        """Its middle, from the top."""
        return self.top + self.height / 2

    @property
    def is_round(self) -> bool:
        """Whether it is drawn as a circle."""
        return self.box.kind in CIRCLES

    def upper_edge(self, x: float) -> float:
        """Return where a vertical line meets it from above."""
        if not self.is_round:
            return self.top
        radius = self.height / 2
        off = min(abs(x - self.middle), radius)
        return self.level - math.sqrt(radius**2 - off**2)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a box is, with the lines in it."""

    width: float
    height: float
    label: str
    details: tuple[str, ...]

    @classmethod
    def of(cls, box: Box, *, ends: bool) -> Size:
        """Measure a box.

        Args:
            ends: Whether it hands nothing on.
        """
        label = shown(box.label)
        if box.kind in CIRCLES:
            return cls(ROUND, ROUND, shortened(label, LABEL_SIZE, ROUND - 4, bold=True), ())
        room = BOX_WIDTH - 2 * PADDING
        if box.kind is BoxKind.STATE:  # it is as wide as the drawing
            room *= 2
        kind = _KINDS.get(box.kind, "")
        if ends and box.kind is BoxKind.READOUT:
            kind = _ENDING
        detail = ": ".join(filter(None, (kind, shown(box.detail))))
        details = tuple(broken(detail, DETAIL_SIZE, room, _DETAIL_LINES))
        height = 2 * PADDING + LABEL_LINE + DETAIL_LINE * len(details) - 3
        return cls(BOX_WIDTH, height, shortened(label, LABEL_SIZE, room, bold=True), details)

    def at(self, box: Box, left: float, top: float, width: float) -> Place:
        """Return the box at a place."""
        return Place(box, left, top, width, self.height, self.label, self.details)


@dataclass(frozen=True, slots=True)
class Frame:
    """The border around what is folded.

    Attributes:
        says: How often it ran.
    """

    left: float
    top: float
    right: float
    bottom: float
    says: str


@dataclass(frozen=True, slots=True)
class Route:
    """The corners of an edge."""

    edge: Edge
    corners: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A picture with all its coordinates.

    Attributes:
        words: Where what an edge says begins, edge by edge.
        times: Where it is said how often what is folded ran, frame by frame.
    """

    width: float
    height: float
    places: tuple[Place, ...]
    routes: tuple[Route, ...]
    words: tuple[Point, ...]
    frames: tuple[Frame, ...]
    times: tuple[Point, ...]
