"""What a plot shows, as numbers and words: no drawing, and nothing of a probe."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LENGTH = "‖h‖, L2 over features, mean over tokens"
LOSS = "loss, as the target computes it"
# Values are shown on a logarithmic scale where the largest is this many times the least.
_WIDE = 20.0
# Points of a curve that are drawn; more would be closer together than its stroke is wide.
_MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve: over seeds the mean, the least and the largest value."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve with its name.

    Attributes:
        pen: Which of the pens draws it; 0 is for what the others are compared with.
        ended: Why it ends early, in words; empty where it does not.
        seeds: How many runs it stands for.
    """

    name: str
    points: tuple[Point, ...]
    pen: int
    ended: str = ""
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A value of x that is pointed out."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis.

    Attributes:
        label: What it shows, with the unit.
        log: Whether it is logarithmic.
        ticks: The values to name; empty for round ones.
    """

    label: str
    log: bool = False
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a plot, for whoever does not see it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot to draw.

    Attributes:
        key: What it is among the plots of a state, for names in a page.
        title: What it shows, in a few words.
        caption: How to read it, a sentence or two.
    """

    key: str
    title: str
    caption: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    pointed: bool = False

    @property
    def shown(self) -> tuple[Curve, ...]:
        """The curves that have a point."""
        return tuple(curve for curve in self.curves if curve.points)


def lengths(rows: Sequence[Sequence[tuple[float, float]]]) -> tuple[Point, ...]:
    """Put lengths of several seeds together, where all have one: they differ by factors."""
    return _together([[(x, y) for x, y in row if y > 0] for row in rows], _geometric)


def losses(rows: Sequence[Sequence[tuple[float, float]]]) -> tuple[Point, ...]:
    """Put losses of several seeds together, where all have one; they may have any sign."""
    return _together(rows, _arithmetic)


def _together(
    rows: Sequence[Sequence[tuple[float, float]]], mean: Callable[[Sequence[float]], float]
) -> tuple[Point, ...]:
    by_x = [{x: y for x, y in row if math.isfinite(y)} for row in rows]
    shared = sorted(set.intersection(*map(set, by_x))) if by_x else []
    columns = [(x, [row[x] for row in by_x]) for x in shared]
    return thinned(tuple(Point(x, mean(ys), min(ys), max(ys)) for x, ys in columns))


def _arithmetic(values: Sequence[float]) -> float:
    return sum(value / len(values) for value in values)  # the sum may have no number


def _geometric(values: Sequence[float]) -> float:
    return math.exp(_arithmetic([math.log(value) for value in values]))


def thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Leave out points that nobody could see, and no peak, no dip and no end."""
    if len(points) <= _MOST_POINTS:
        return points
    inner, size = points[1:-1], -(-2 * (len(points) - 2) // (_MOST_POINTS - 2))
    kept = [points[0]]
    for start in range(0, len(inner), size):
        part = inner[start : start + size]
        ends = {min(part, key=lambda p: p.low), max(part, key=lambda p: p.high)}
        kept.extend(sorted(ends, key=lambda p: p.x))
    return (*kept, points[-1])


def of_turns(curves: Sequence[Curve]) -> Axis:
    """Name the deepest of the turns that were measured, and half and a quarter of it."""
    found = sorted({point.x for curve in curves for point in curve.points})
    shown: list[float] = []
    for turns in reversed(found):
        if not shown or turns * 2 <= shown[-1]:
            shown.append(turns)
    return Axis("turn of the loop", log=True, ticks=tuple(reversed(shown)))


def is_wide(curves: Sequence[Curve]) -> bool:
    """Whether the values of curves ask for a logarithmic scale, and can have one."""
    values = [value for curve in curves for p in curve.points for value in (p.low, p.high)]
    return bool(values) and min(values) > 0 and max(values) > _WIDE * min(values)


def number(value: float) -> str:
    """Write a number to three digits, without a power of ten where that is short."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-3:  # noqa: PLR2004 - where powers of ten are shorter
        return f"{value:.2e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def words(chart: Chart) -> str:
    """Describe a chart with its numbers, curve by curve."""
    said = [f"{chart.y.label[:1].upper()}{chart.y.label[1:]}, against {chart.x.label}."]
    for curve in chart.shown:
        first, last = curve.points[0], curve.points[-1]
        top = max(curve.points, key=lambda point: point.y)
        text = (
            f"{curve.name}: {number(first.y)} at {number(first.x)}, {number(last.y)} at "
            f"{number(last.x)}"
        )
        if top not in (first, last):
            text += f", largest {number(top.y)} at {number(top.x)}"
        if curve.seeds > 1:
            text += f" ({curve.seeds} seeds, at the end {number(last.low)} to {number(last.high)})"
        said.append(f"{text}{f'; {curve.ended}' if curve.ended else ''}.")
    said.extend(f"{curve.name}: {curve.ended}." for curve in chart.curves if not curve.points)
    return " ".join(said)


# Rows of a table; it is read aloud.
_MOST_ROWS = 12


def table(chart: Chart) -> Table:
    """Return the numbers that a chart shows, at so many values of x as can be read."""
    values = sorted({point.x for curve in chart.shown for point in curve.points})
    if len(values) > _MOST_ROWS:
        last = len(values) - 1
        values = [values[round(k * last / (_MOST_ROWS - 1))] for k in range(_MOST_ROWS)]
    found = [{point.x: point for point in curve.points} for curve in chart.shown]
    rows = tuple((number(x), *(_cell(points.get(x)) for points in found)) for x in values)
    return Table((chart.x.label, *(curve.name for curve in chart.shown)), rows)


def _cell(point: Point | None) -> str:
    if point is None:
        return "–"
    between = number(point.low), number(point.high)
    spans = between[0] != between[1]
    return f"{number(point.y)} ({between[0]} to {between[1]})" if spans else number(point.y)
