"""Charts drawn by matplotlib, as inline SVG. The only home of matplotlib, which is loaded here alone."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import IdentityTransform

from scaleaudit.report.html import palette, svg
from scaleaudit.report.html.chart import Axis, Chart, Curve, number, words
from scaleaudit.report.html.palette import GRID, INK, MUTED, Role

# In pixels: small enough to be read at 390 px as it is, and several fit a row of a wide screen.
_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _BOTTOM, _TOP = 62, 124, 46, 42
_FONT, _LEADING = 13, 15
# Characters of a line beside a curve's end, and its distance from the axes.
_WRAP, _BESIDE = 14, 16
# Beyond so many curves, names are told without numbers.
_FEW = 4
# A curve that moves by less than this is drawn as the flat one that it is.
_FLAT = 0.25
_LEAST_RATIO = 3.0
# The power of ten that an axis ends at: there is room for none beyond in a number, nor to reckon.
_LARGEST = 305
# Fewer names on an axis do not tell its scale.
_FEWEST_TICKS = 3


def draw(chart: Chart, prefix: str) -> str:
    """Draw a chart as an SVG element to stand in a page.

    Args:
        prefix: What the ids in it start with, unique in the page.
    """
    file = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own settings are for drawings of their own
        # Text stays text, so that it is read aloud, searched and short.
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = "scaleaudit"
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72)
        _Drawing(figure, chart).draw()
        with warnings.catch_warnings():
            # Text stays text, so what these fonts lack is a matter of the browser's.
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            figure.savefig(file, format="svg", metadata={"Date": None})
    named = svg.Named(prefix, chart.title, f"{words(chart)} {chart.caption}".strip())
    return svg.inlined(file.getvalue(), named, (_WIDTH, _HEIGHT))


@dataclass(slots=True)
class _Label:
    """The name of a curve beside its end; ``y`` is the middle, in pixels from below."""

    lines: list[str]
    role: Role
    end: tuple[float, float]
    y: float

    @property
    def height(self) -> float:
        return len(self.lines) * _LEADING + 2


class _Drawing:
    """One chart on its figure."""

    def __init__(self, figure: Figure, chart: Chart) -> None:
        self._figure, self._chart = figure, chart
        figure.patch.set_visible(False)
        self._axes: Axes = figure.add_axes((
            _LEFT / _WIDTH,
            _BOTTOM / _HEIGHT,
            (_WIDTH - _LEFT - _RIGHT) / _WIDTH,
            (_HEIGHT - _TOP - _BOTTOM) / _HEIGHT,
        ))  # fmt: skip

    def draw(self) -> None:
        self._frame()
        for curve in reversed(self._chart.shown):  # what others are compared with lies on top
            self._curve(curve)
        self._scale()
        self._marks()
        self._label_ends()

    def _frame(self) -> None:
        axes = self._axes
        axes.patch.set_visible(False)
        axes.set_autoscaley_on(False)  # it reckons beyond the largest number
        axes.spines[["top", "right"]].set_visible(False)
        for name in ("left", "bottom"):
            axes.spines[name].set_color(_paint(MUTED))
            axes.spines[name].set_linewidth(1)
        axes.tick_params(colors=_paint(MUTED), labelcolor=_paint(INK), labelsize=_FONT, length=4)
        axes.grid(visible=True, axis="y", color=_paint(GRID), linewidth=0.8)
        axes.set_axisbelow(True)
        self._text(_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, 8, self._chart.x.label, INK, ha="center")
        self._text(4, _HEIGHT - 14, self._chart.y.label, INK)

    def _curve(self, curve: Curve) -> None:
        pen = palette.pen(curve.pen)
        colour = _paint(pen.role)
        xs = [point.x for point in curve.points]
        if curve.seeds > 1:
            lows, highs = ([getattr(p, end) for p in curve.points] for end in ("low", "high"))
            self._axes.fill_between(xs, lows, highs, facecolor=colour, edgecolor="none", alpha=0.18)
        (line,) = self._axes.plot(
            xs,
            [point.y for point in curve.points],
            color=colour,
            linewidth=2.2 if curve.pen == 0 else 1.8,
            marker=pen.marker if self._chart.pointed else "",
            markersize=4.5,
            markeredgewidth=0,
        )
        line.set_solid_capstyle("round")
        if pen.dashes:
            line.set_dashes([length / 2 for length in pen.dashes])

    def _scale(self) -> None:
        axes, chart = self._axes, self._chart
        if chart.x.log:
            axes.set_xscale("log")
        if chart.y.log:
            axes.set_yscale("log")
        low, high = _extent(chart)
        axes.set_ylim(low, high)
        xs = [point.x for curve in chart.shown for point in curve.points]
        xs += [mark.x for mark in chart.marks]
        if min(xs) == max(xs):
            axes.set_xlim(min(xs) * 0.5, max(xs) * 2 + 1)
        _name_ticks(axes.xaxis, chart.x, min(xs), max(xs), most=5)
        _name_ticks(axes.yaxis, chart.y, low, high, most=6)

    def _marks(self) -> None:
        for mark in self._chart.marks:
            self._axes.axvline(mark.x, color=_paint(MUTED), linewidth=1, dashes=(2, 2), zorder=0.5)
            x, _ = self._axes.transData.transform((mark.x, self._axes.get_ylim()[0]))
            self._text(x, _HEIGHT - _TOP + 4, mark.text, MUTED, ha="center")

    def _label_ends(self) -> None:
        labels = [self._label(curve) for curve in self._chart.shown]
        labels.sort(key=lambda label: label.y)
        _set_apart(labels, _BOTTOM, _HEIGHT - _TOP + 8)
        left = _WIDTH - _RIGHT + _BESIDE
        for label in labels:
            x, y = label.end
            self._line((x + 3, left - 9, left - 3), (y, label.y, label.y), label.role)
            for index, text in enumerate(label.lines):
                above = ((len(label.lines) - 1) / 2 - index) * _LEADING
                self._text(left, label.y + above - 4, text, INK)

    def _label(self, curve: Curve) -> _Label:
        last = curve.points[-1]
        x, y = self._axes.transData.transform((last.x, last.y))
        lines = textwrap.wrap(curve.name, _WRAP, max_lines=2, placeholder="…") or [""]
        if len(self._chart.shown) <= _FEW:
            value = number(last.y)
            if len(lines[-1]) + len(value) + 1 <= _WRAP:
                lines[-1] = f"{lines[-1]} {value}"
            else:
                lines.append(value)
        lines.extend(textwrap.wrap(curve.ended, _WRAP, max_lines=2, placeholder="…"))
        if curve.ended:
            self._axes.plot([last.x], [last.y], "x", color=_paint(INK), markersize=8, zorder=9)
        return _Label(lines, palette.pen(curve.pen).role, (float(x), float(y)), float(y))

    def _text(self, x: float, y: float, text: str, role: Role, ha: str = "left") -> None:
        self._figure.text(
            x,
            y,
            text,
            transform=IdentityTransform(),
            color=_paint(role),
            fontsize=_FONT,
            horizontalalignment=ha,
            parse_math=False,
        )

    def _line(self, xs: Sequence[float], ys: Sequence[float], role: Role) -> None:
        line = Line2D(xs, ys, color=_paint(role), linewidth=1, transform=IdentityTransform())
        self._figure.add_artist(line)


def _paint(role: Role) -> str:
    return role.placeholder


def _extent(chart: Chart) -> tuple[float, float]:
    """Return the ends of the axis of values, such that what is flat looks flat."""
    points = [point for curve in chart.shown for point in curve.points]
    low, high = min(point.low for point in points), max(point.high for point in points)
    if chart.y.log:
        first, last = math.log10(low), math.log10(high)
        room = max((last - first) * 0.06, (math.log10(_LEAST_RATIO) - (last - first)) / 2)
        first, last = max(first - room, -_LARGEST), min(last + room, _LARGEST)
        return 10.0 ** min(first, last - 0.5), 10.0**last
    low, high = (min(max(end, -(10.0**_LARGEST)), 10.0**_LARGEST) for end in (low, high))
    middle = low / 2 + high / 2
    half = max(high / 2 - low / 2, _FLAT * abs(middle), 1e-12)
    return middle - 1.08 * half, middle + 1.08 * half


def _set_apart(labels: list[_Label], low: float, high: float) -> None:
    """Move labels, from below upwards, so that none covers another and all are inside."""
    floor = low
    for label in labels:
        label.y = max(label.y, floor + label.height / 2)
        floor = label.y + label.height / 2
    ceiling = high
    for label in reversed(labels):
        label.y = min(label.y, ceiling - label.height / 2)
        ceiling = label.y - label.height / 2


def _name_ticks(axis: mpl.axis.Axis, kind: Axis, low: float, high: float, most: int) -> None:
    """Name round numbers, or those that are asked for, in words without mathematics."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if kind.ticks:
        axis.set_major_locator(FixedLocator(list(kind.ticks)))
    elif kind.log:
        ticks = list(_logarithmic(low, high, most))
        even = [tick for tick in _EVEN.tick_values(low, high) if low <= tick <= high]
        axis.set_major_locator(FixedLocator(ticks if len(ticks) >= _FEWEST_TICKS else even))
    else:
        axis.set_major_locator(MaxNLocator(most, steps=_ROUND))


_ROUND = [1, 2, 2.5, 5, 10]
_EVEN = MaxNLocator(5, steps=_ROUND)


def _logarithmic(low: float, high: float, most: int) -> Iterator[float]:
    """Yield powers of ten, with 2 and 5 times them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        found = [
            step * 10.0**power
            for power in range(first, last + 1)
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) <= most:
            yield from found
            return
    apart = -(-(last - first) // most)
    yield from (10.0**p for p in range(first, last + 1, apart) if low <= 10.0**p <= high)
