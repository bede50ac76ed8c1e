"""The table of the reference models as a picture: lengths and perplexities against depth."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from scaleaudit.domain.evaluation import DepthEvaluation
from scaleaudit.domain.reproduction import ConditionRuns, Reproduction
from scaleaudit.report.html.chart import Axis, Chart, Curve, Mark, Point, lengths, losses
from scaleaudit.report.html.palette import style_sheet
from scaleaudit.report.html.plotting import draw

_PERPLEXITY = (
    "Of the readout after each turn, on held-out text: means over the seeds, and their range. "
    "Perplexities from 1,000 on, as readouts have that no loss asks about, are left out."
)
# Depths and what was measured there.
_Row: TypeAlias = list[tuple[float, float]]

# Readouts that no loss asks about may give any perplexity; beyond this one there is nothing to compare.
_COMPARED = 1000.0

_SIZE = re.compile(r'width="(\d+)" height="(\d+)"')
_FONT = "system-ui, sans-serif"
_SHEET = (
    ".paper { fill: #ffffff; } @media (prefers-color-scheme: dark) { .paper { fill: #0d1117; } }"
)


def to_svg(found: Reproduction) -> str:
    """Draw the table as a file of its own: one chart below the other, bands over the seeds."""
    drawn = [draw(chart, f"reproduction-{chart.key}") for chart in charts(found) if chart.shown]
    return _stacked(drawn)


def charts(found: Reproduction) -> tuple[Chart, Chart]:
    """Return what the two charts show."""
    conditions = found.conditions
    ticks = tuple(map(float, conditions[0].turns)) if conditions else ()
    trained = tuple(
        Mark(float(each.runs[0].evaluation.turns), "trained") for each in conditions[:1]
    )
    depth = Axis("turns of the loop", log=True, ticks=ticks)
    length = Chart(
        key="length",
        title=f"Length of the state, size {found.size}",
        caption="Geometric means over the seeds, and their range.",
        x=depth,
        y=Axis("‖h‖, L2 over features, mean over tokens", log=True),
        curves=_curves(conditions, lengths, lambda depth: depth.lengths.mean),
        marks=trained,
        pointed=True,
    )
    perplexity = Chart(
        key="perplexity",
        title=f"Perplexity, size {found.size}",
        caption=_PERPLEXITY,
        x=depth,
        y=Axis("perplexity", log=True),
        curves=_curves(conditions, losses, _compared),
        marks=trained,
        pointed=True,
    )
    return length, perplexity


def _compared(depth: DepthEvaluation) -> float:
    return depth.perplexity if depth.perplexity < _COMPARED else math.nan


def _curves(
    conditions: Iterable[ConditionRuns],
    over_seeds: Callable[[list[_Row]], tuple[Point, ...]],
    read: Callable[[DepthEvaluation], float],
) -> tuple[Curve, ...]:
    return tuple(
        Curve(
            name=each.condition.replace("_", " "),
            points=over_seeds([_row(run.evaluation.depths, read) for run in each.runs]),
            pen=pen,
            seeds=len(each.runs),
        )
        for pen, each in enumerate(conditions)
    )


def _row(depths: Iterable[DepthEvaluation], read: Callable[[DepthEvaluation], float]) -> _Row:
    return [(float(depth.turns), read(depth)) for depth in depths]


def _stacked(drawn: list[str]) -> str:
    """Put drawings below each other into one document, with the colours of the reports."""
    sizes = [_size(each) for each in drawn]
    width, height = max((w for w, _ in sizes), default=1), sum(h for _, h in sizes) or 1
    body, y = [], 0
    for each, (_, tall) in zip(drawn, sizes, strict=True):
        body.append(f'<g transform="translate(0 {y})">{each}</g>')
        y += tall
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="{_FONT}"><style>{style_sheet()} {_SHEET}</style>'
        f'<rect class="paper" width="100%" height="100%"/>{"".join(body)}</svg>\n'
    )


def _size(drawing: str) -> tuple[int, int]:
    found = _SIZE.search(drawing)
    assert found is not None
    return int(found[1]), int(found[2])
