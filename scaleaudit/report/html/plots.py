"""The plots of a probe, and of traces of training, as inline SVG with the numbers beside them.

matplotlib is loaded when there is something to draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scaleaudit.domain.diagnostics import SWEEP, Diagnostics, ReadoutResponse, StateDiagnostics
from scaleaudit.domain.facts import ProbeOutcome
from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun
from scaleaudit.domain.twins import WORDS
from scaleaudit.report.html.chart import (
    Axis,
    Chart,
    Curve,
    Mark,
    Table,
    lengths,
    losses,
    number,
    table,
)

_LENGTH = "‖h‖, L2 over features, mean over tokens"
_LOSS = "loss, as the target computes it"
_AS_IT_IS = "as it is"
# Names short enough to stand beside a curve, and the pen that each always has.
_SHORT = {
    "": (_AS_IT_IS, 0),
    WORDS[FixKind.PENALTY]: ("penalty", 1),
    WORDS[FixKind.NORM_BETWEEN]: ("norm between turns", 2),
    WORDS[FixKind.RAW_READOUT]: ("raw readout", 3),
}
# Losses are shown on a logarithmic scale where the largest is this many times the least.
_WIDE = 20.0
# Readouts that are told apart in a plot, and by how much they must differ from all together.
_MOST_READOUTS, _APART = 3, 0.02
# The factors that are named below an axis.
_FACTORS = (1.0, 1e2, 1e4)


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
            _drawn(_of_state(probe.runs, probe.diagnostics, index), f"{prefix}-{index}"),
        )
        for index, (state, loop) in enumerate(names)
    )


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
    yield from _of_training([(run, run.states[index]) for run in runs if index < len(run.states)])
    if found is not None and index < len(found.states):
        yield _by_scale(found.states[index])
        yield _by_angle(found.states[index])


def _of_traces(runs: Sequence[TrainingRun], called: tuple[str, str]) -> Iterator[Chart]:
    traced = [
        (run, trace) for run in runs for trace in run.states if (trace.state, trace.loop) == called
    ]
    yield from _of_training(traced)
    yield _loss_by_step(traced)


_Traced = Sequence[tuple[TrainingRun, StateTrace]]


def _of_training(traced: _Traced) -> Iterator[Chart]:
    yield _by_step(traced)
    yield _by_turn(traced)
    yield _loss_by_depth(traced)


def _groups(traced: _Traced) -> Iterator[tuple[str, int, _Traced]]:
    """Yield what each fix is called and drawn with, and its runs, the target as it is first."""
    fixes = dict.fromkeys(run.fix for run, _ in sorted(traced, key=lambda each: each[0].fix != ""))
    free = (pen for pen in range(len(_SHORT), len(_SHORT) + len(fixes)))
    for fix in fixes:
        name, pen = _SHORT[fix] if fix in _SHORT else (fix, next(free))
        yield name, pen, [each for each in traced if each[0].fix == fix]


def _ended(traced: _Traced) -> str:
    steps = [run.overflowed for run, _ in traced if run.overflowed is not None]
    if not steps:
        return ""
    seeds = f" in {len(steps)} of {len(traced)} seeds" if len(traced) > 1 else ""
    return f"no number at step {min(steps)}{seeds}"


def _by_step(traced: _Traced) -> Chart:
    curves = tuple(
        Curve(
            name,
            lengths([_ends(run, trace) for run, trace in group]),
            pen,
            _ended(group),
            len(group),
        )
        for name, pen, group in _groups(traced)
    )
    return Chart(
        "norm-step",
        "Length of the state over training",
        f"After the last turn.{_bands(curves)}",
        Axis("training step"),
        Axis(_LENGTH, log=True),
        curves,
    )


def _ends(run: TrainingRun, trace: StateTrace) -> list[tuple[float, float]]:
    """The length after the last turn, at every step that was measured before numbers ended."""
    return [
        (step, turns[-1].mean)
        for step, turns in zip(run.measured, trace.turns, strict=False)
        if turns and (run.overflowed is None or step <= run.overflowed)
    ]


def _bands(curves: Sequence[Curve]) -> str:
    if all(curve.seeds == 1 for curve in curves):
        return ""
    return " Lines are means over seeds, bands reach from the least to the largest."


def _by_turn(traced: _Traced) -> Chart:
    curves = tuple(
        Curve(name, lengths([_turn_lengths(trace) for _, trace in group]), pen, seeds=len(group))
        for name, pen, group in _groups(traced)
        if not _ended(group)
    )
    return Chart(
        "norm-turn",
        "Length of the state turn by turn",
        f"After training.{_trained(traced)}{_bands(curves)}",
        _turns(curves),
        Axis(_LENGTH, log=True),
        curves,
        _marks(traced),
        pointed=True,
    )


def _turn_lengths(trace: StateTrace) -> list[tuple[float, float]]:
    """The length after every turn when training had ended, and at more turns where it was run."""
    if trace.depths:
        return [(at.turns, at.norm) for at in trace.depths]
    last = trace.turns[-1] if trace.turns else ()
    return [(index, turn.mean) for index, turn in enumerate(last, 1)]


def _turns(curves: Sequence[Curve]) -> Axis:
    """Name the deepest of the turns that were measured, and half and a quarter of it."""
    found = sorted({point.x for curve in curves for point in curve.points})
    shown: list[float] = []
    for turns in reversed(found):
        if not shown or turns * 2 <= shown[-1]:
            shown.append(turns)
    return Axis("turn of the loop", log=True, ticks=tuple(reversed(shown)))


def _trained_turns(traced: _Traced) -> int:
    return max((len(turns) for _, trace in traced for turns in trace.turns), default=0)


def _deepest(traced: _Traced) -> int:
    return max((at.turns for _, trace in traced for at in trace.depths), default=0)


def _trained(traced: _Traced) -> str:
    turns = _trained_turns(traced)
    if _deepest(traced) <= turns:
        return ""
    return f" It was trained with {turns} turns; more of them repeat the last one."


def _marks(traced: _Traced) -> tuple[Mark, ...]:
    """Point out how deep it was trained, and twice and four times that where it was run."""
    turns, deepest = _trained_turns(traced), _deepest(traced)
    if not 0 < turns < deepest:
        return ()
    beyond = (Mark(times * turns, f"×{times}") for times in (2, 4) if times * turns <= deepest)
    return (Mark(turns, f"trained: {turns}"), *beyond)


def _loss_by_depth(traced: _Traced) -> Chart:
    curves = tuple(
        Curve(name, losses([_losses(trace.depths) for _, trace in group]), pen, seeds=len(group))
        for name, pen, group in _groups(traced)
        if not _ended(group)
    )
    return Chart(
        "loss-depth",
        "Loss against depth",
        f"Every readout is given the state of that turn.{_trained(traced)}{_bands(curves)}",
        _turns(curves),
        Axis(_LOSS, log=_is_wide(curves)),
        curves,
        _marks(traced),
        pointed=True,
    )


def _losses(depths: Sequence[Depth]) -> list[tuple[float, float]]:
    return [(at.turns, at.loss) for at in depths]


def _is_wide(curves: Sequence[Curve]) -> bool:
    values = [value for curve in curves for p in curve.points for value in (p.low, p.high)]
    return bool(values) and min(values) > 0 and max(values) > _WIDE * min(values)


def _loss_by_step(traced: _Traced) -> Chart:
    curves = tuple(
        Curve(
            name,
            losses([list(enumerate(run.losses)) for run, _ in group]),
            pen,
            _ended(group),
            len(group),
        )
        for name, pen, group in _groups(traced)
    )
    return Chart(
        "loss-step",
        "Loss over training",
        f"Without what a fix adds.{_bands(curves)}",
        Axis("training step"),
        Axis(_LOSS, log=_is_wide(curves)),
        curves,
    )


def _by_scale(found: StateDiagnostics) -> Chart:
    """The objective as the state is made longer: flat where nothing in it sees the length."""
    together = losses([list(zip(SWEEP, found.losses, strict=False))])
    name = "at every turn" if len(found.readouts) > 1 else "loss"
    curves = [Curve(name, together, 0)]
    if len(found.readouts) > 1:
        shown = _some([each for each in found.readouts if _differs(each.losses, found.losses)])
        curves += [
            Curve(
                f"at turn {each.turn} alone",
                losses([list(zip(SWEEP, each.losses, strict=False))]),
                pen,
            )
            for pen, each in enumerate(shown, 1)
        ]
    change = found.change
    said = ""
    if change is not None and math.isfinite(change):
        said = f"From 100 to 10,000 it changes by {_percent(change)}. "
    return Chart(
        "loss-scale",
        "Loss as the state is scaled",
        f"{said}A flat line says that no term of the loss sees the length.",
        Axis("factor on the state, before training", log=True, ticks=_FACTORS),
        Axis(_LOSS, log=_is_wide(curves)),
        tuple(curves),
        pointed=True,
    )


def _percent(change: float) -> str:
    return "less than 0.01 %" if change < 1e-4 else f"{number(100 * change)} %"  # noqa: PLR2004


def _differs(losses: Sequence[float], others: Sequence[float]) -> bool:
    """Whether two curves could be told apart where they are drawn."""
    pairs = [pair for pair in zip(losses, others, strict=False) if all(map(math.isfinite, pair))]
    size = max((abs(value) for pair in pairs for value in pair), default=0.0)
    return any(abs(one - other) > _APART * size for one, other in pairs)


def _some(found: list[ReadoutResponse]) -> list[ReadoutResponse]:
    """Return as many as can be told apart, the first and the last among them."""
    last = len(found) - 1
    if last < _MOST_READOUTS:
        return found
    return [found[round(k * last / (_MOST_READOUTS - 1))] for k in range(_MOST_READOUTS)]


def _by_angle(found: StateDiagnostics) -> Chart:
    """How far a turn still turns the state: a long one is hardly moved."""
    row = [(s.turn, s.angular) for s in found.steps if s.angular is not None and s.angular > 0]
    law = found.turning
    said = f" It goes as the length to the power {law.exponent:.2f}." if law else ""
    curves = (Curve("angle", lengths([row]), 0),)
    return Chart(
        "angle-turn",
        "Angle by which a turn moves the state",
        f"Before training, out to four times the turns.{said}",
        _turns(curves),
        Axis("angle of a step, radians, mean over tokens", log=True),
        curves,
        pointed=True,
    )
