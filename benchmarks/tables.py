"""Results as tables that a person reads at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.comparison import Change
from benchmarks.results import Aim, Line, Measure, Result, Spread

_HEADINGS = {
    Measure.CPU: "CPU",
    Measure.WALL: "wall",
    Measure.LARGEST: "largest process",
    Measure.TOGETHER: "all processes",
    Measure.SPEED: "operators/s",
    Measure.PACE: "tokens/s",
    Measure.UTILISATION: "of matrix products",
    Measure.MAIN_THREAD: "main thread",
    Measure.PAGE: "page",
    Measure.NODES: "nodes",
}
# Of these, more is better.
_GAINS = frozenset({Measure.SPEED, Measure.PACE, Measure.UTILISATION})


def result_table(result: Result) -> Table:
    """Show every line's medians, with the ratios and how far they spread."""
    measures = [m for m in Measure if any(m in line.samples for line in result.lines)]
    table = _table(result.section)
    for measure in measures:
        table.add_column(_HEADINGS[measure], justify="right", no_wrap=True)
        table.add_column("ratio (spread)", justify="right", no_wrap=True)
    table.add_column("aim")
    for line in result.lines:
        cells = [cell for measure in measures for cell in _cells(result, line, measure)]
        table.add_row(line.name, *cells, _aims(result, line))
    return table


def change_table(changes: Sequence[Change]) -> Table:
    """Show every number beside that of the earlier run; marked where the spreads do not meet."""
    table = _table("against the earlier run")
    for heading in ("of", "then", "now", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in changes:
        table.add_row(
            f"{change.section}: {change.line}",
            _HEADINGS[change.measure],
            _number(change, change.before),
            _number(change, change.now),
            f"{change.factor:.2f} x",
            _mark(change),
        )
    return table


def _reach(measure: Measure, value: Spread) -> str:
    low = _spelt(measure, value.low).partition(" ")[0]
    return f"({low} to {_spelt(measure, value.high)})"


def _spelt(measure: Measure, number: float) -> str:
    if measure in {Measure.LARGEST, Measure.TOGETHER}:
        return f"{number / 1e9:.2f} GB"
    if measure is Measure.PAGE:
        return f"{number / 1e6:.2f} MB"
    if measure is Measure.UTILISATION:
        return f"{number:.1%}"
    counted = measure in _GAINS or measure is Measure.NODES
    return f"{number:,.0f}" if counted else f"{number:.2f} s"


def _table(title: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("", no_wrap=True)
    return table


def _cells(result: Result, line: Line, measure: Measure) -> tuple[str, str]:
    """Return the median and the ratio; a base line has the spread of its samples there."""
    value, ratio = result.value(line, measure), result.ratio(line, measure)
    if value is None:
        return ("-", "")
    reach = _reach(measure, value) if ratio is None else _times(ratio)
    return (_spelt(measure, value.median), reach)


def _times(ratio: Spread) -> str:
    return f"{ratio.median:.2f} x ({ratio.low:.2f} to {ratio.high:.2f})"


def _aims(result: Result, line: Line) -> Text:
    if line.failure:
        return Text(f"failed: {line.failure}", style="bold red")
    return Text("; ").join(_aim(result, line, aim) for aim in line.aims)


def _aim(result: Result, line: Line, aim: Aim) -> Text:
    number = result.judged(line, aim)
    sign = ">=" if aim.at_least else "<="
    limit = _spelt(aim.measure, aim.limit) if aim.absolute or not line.base else f"{aim.limit:g} x"
    said = f"{_HEADINGS[aim.measure]} {sign} {limit}"
    if number is None:
        return Text(said)
    met = aim.is_met_by(number.median)
    faster = f": {number.median:.1f} x" if aim.inverse else ""
    return Text(
        f"{said}{faster}, {'met' if met else 'MISSED'}", style="green" if met else "bold red"
    )


def _number(change: Change, spread: Spread) -> str:
    if change.is_ratio:
        return _times(spread)
    return f"{_spelt(change.measure, spread.median)} {_reach(change.measure, spread)}"


def _mark(change: Change) -> Text:
    if not change.is_beyond_the_spread:
        return Text("within the spread")
    if not change.is_ratio:
        return Text("apart, but no ratio: it may be the machine")
    better = (change.factor > 1) == (change.measure in _GAINS)
    return Text("BETTER" if better else "WORSE", style="bold green" if better else "bold red")
