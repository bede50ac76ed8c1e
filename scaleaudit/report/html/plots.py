"""The plots of a probe, and of traces of training, as inline SVG with the numbers beside them.

matplotlib is loaded when there is something to draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scaleaudit.domain.diagnostics import Diagnostics
from scaleaudit.domain.facts import ProbeOutcome
from scaleaudit.domain.probing import TrainingRun
from scaleaudit.domain.twins import behind
from scaleaudit.report.html.chart import Chart, Table, table
from scaleaudit.report.html.training_charts import loss_by_step, of_training
from scaleaudit.report.html.weights_charts import by_angle, by_scale


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Attributes:
        key: What it is: "norm-step", "norm-turn", "loss-scale", "loss-depth" or "angle-turn".
        caption: How to read it.
        svg: The drawing, safe to stand in a page as it is.
        table: The same numbers, not escaped.
    """

    key: str
    title: str
    caption: str
    svg: str
    table: Table


@dataclass(frozen=True, slots=True)
class StatePlots:
    """The plots of one state, by its position among the states of the probe."""

    state: str
    loop: str
    plots: tuple[Plot, ...]


def plots_of_probe(probe: ProbeOutcome, prefix: str = "plot") -> tuple[StatePlots, ...]:
    """Draw what a probe measured, state by state.

    Args:
        prefix: What the ids in the drawings start with, unique in the page.
    """
    measured = probe.diagnostics.states if probe.diagnostics else ()
    names = [(each.state, each.loop) for each in probe.states or measured]
    return tuple(
        StatePlots(
            state,
            loop,
            _drawn(
                _of_state(_runs_of(probe, index), probe.diagnostics, index), f"{prefix}-{index}"
            ),
        )
        for index, (state, loop) in enumerate(names)
    )


def _runs_of(probe: ProbeOutcome, index: int) -> Sequence[TrainingRun]:
    return behind(probe, probe.states[index] if index < len(probe.states) else None)


def plots_of_traces(runs: Sequence[TrainingRun], prefix: str = "trace") -> tuple[StatePlots, ...]:
    """Draw what training runs of one model went through, state by state.

    Args:
        runs: What a probe keeps, `scaleaudit train` leaves or a monitor writes; runs that say the
            same of their fix are taken for seeds of one another.
        prefix: What the ids in the drawings start with, unique in the page.
    """
    found: dict[tuple[str, str], None] = {}
    for run in runs:
        found |= dict.fromkeys((trace.state, trace.loop) for trace in run.states)
    return tuple(
        StatePlots(state, loop, _drawn(_of_traces(runs, (state, loop)), f"{prefix}-{index}"))
        for index, (state, loop) in enumerate(found)
    )


def _drawn(charts: Iterable[Chart], prefix: str) -> tuple[Plot, ...]:
    found = [chart for chart in charts if chart.shown]
    if not found:
        return ()
    from scaleaudit.report.html.plotting import draw  # noqa: PLC0415 - loads matplotlib

    return tuple(
        Plot(
            chart.key,
            chart.title,
            chart.caption,
            draw(chart, f"{prefix}-{chart.key}"),
            table(chart),
        )
        for chart in found
    )


def _of_state(
    runs: Sequence[TrainingRun], found: Diagnostics | None, index: int
) -> Iterator[Chart]:
    yield from of_training([(run, run.states[index]) for run in runs if index < len(run.states)])
    if found is not None and index < len(found.states):
        yield by_scale(found.states[index])
        yield by_angle(found.states[index])


def _of_traces(runs: Sequence[TrainingRun], called: tuple[str, str]) -> Iterator[Chart]:
    traced = [
        (run, trace) for run in runs for trace in run.states if (trace.state, trace.loop) == called
    ]
    yield from of_training(traced)
    yield loss_by_step(traced)
