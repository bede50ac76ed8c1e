"""What a probe measured of a state, as a table of a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import TypeVar

from scaleaudit.domain.facts import ProbeOutcome, StateProbe
from scaleaudit.domain.probing import StateTrace, TrainingRun
from scaleaudit.domain.twins import LAST_LOSSES, behind
from scaleaudit.report.html.chart import Table
from scaleaudit.report.html.text import clipped
from scaleaudit.report.html.wording import number

_Item = TypeVar("_Item")
_AS_IT_IS = "as it is"


def outcome_table(found: ProbeOutcome, state: StateProbe) -> Table | None:
    """Return what every kind of run did to a state; None where nothing was run."""
    runs = behind(found, state)
    kinds = dict.fromkeys(run.fix for run in sorted(runs, key=lambda run: run.fix != ""))
    if not kinds:
        return None
    depths = _depths(runs, state)
    heads = ("norm at first", "norm at last", "loss at last")
    deeper = (f"{what} at {turns} turns" for what in ("norm", "loss") for turns in depths)
    rows = tuple(_row([run for run in runs if run.fix == fix], state, depths) for fix in kinds)
    return Table(("run", *heads, *deeper), rows)


def _row(runs: Sequence[TrainingRun], state: StateProbe, depths: list[int]) -> tuple[str, ...]:
    """Return what runs with one fix did to a state."""
    fix = runs[0].fix
    traces = list(_traces(runs, state))
    numbers = [
        _mean(traces, _first, _middle),
        _mean(traces, lambda trace: trace.ended, _middle),
        _mean(runs, _last_loss, fmean),
    ]
    numbers += [_mean(traces, partial(_norm_at, n), _middle) for n in depths]
    numbers += [_mean(traces, partial(_loss_at, n), fmean) for n in depths]
    ends = [run.overflowed for run in runs if run.overflowed is not None]
    ended = f", no number from step {min(ends)} on" if ends else ""
    fewest = min(len(run.losses) for run in runs)
    if not ends and fewest < state.steps:
        ended = f", after {fewest} steps"
    return (f"with {clipped(fix)}{ended}" if fix else f"{_AS_IT_IS}{ended}", *map(number, numbers))


def _depths(runs: Sequence[TrainingRun], state: StateProbe) -> list[int]:
    """Return the numbers of turns worth a column: two and four times those that were trained."""
    traces = list(_traces(runs, state))
    trained = max((len(turns) for trace in traces for turns in trace.turns), default=0)
    known = {at.turns for trace in traces for at in trace.depths}
    return [turns for turns in (2 * trained, 4 * trained) if turns in known]


def _traces(runs: Sequence[TrainingRun], state: StateProbe) -> Iterator[StateTrace]:
    for run in runs:
        for trace in run.states:
            if (trace.loop, trace.state) == (state.loop, state.state):
                yield trace


def _first(trace: StateTrace) -> float | None:
    return trace.turns[0][-1].mean if trace.turns and trace.turns[0] else None


def _norm_at(turns: int, trace: StateTrace) -> float | None:
    return next((at.norm for at in trace.depths if at.turns == turns), None)


def _loss_at(turns: int, trace: StateTrace) -> float | None:
    return next((at.loss for at in trace.depths if at.turns == turns), None)


def _last_loss(run: TrainingRun) -> float | None:
    last = run.losses[-LAST_LOSSES:]
    return fmean(last) if last and all(map(math.isfinite, last)) else None


def _mean(
    items: Sequence[_Item],
    value: Callable[[_Item], float | None],
    mean: Callable[[list[float]], float],
) -> float | None:
    """Return the mean over seeds; none where one of them came to no number."""
    numbers = [value(item) for item in items]
    finite = [number for number in numbers if number is not None and math.isfinite(number)]
    return mean(finite) if finite and len(finite) == len(numbers) else None


def _middle(lengths: list[float]) -> float:
    """Return the geometric mean: lengths of one state differ by factors from seed to seed."""
    return math.exp(fmean(map(math.log, lengths))) if min(lengths) > 0 else 0.0
