"""Charts of training runs: lengths and losses over steps, turns and depths, seeds together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun
from scaleaudit.domain.twins import WORDS
from scaleaudit.report.html.chart import (
    LENGTH,
    LOSS,
    Axis,
    Chart,
    Curve,
    Mark,
    is_wide,
    lengths,
    losses,
    of_turns,
)
from scaleaudit.report.html.text import clipped
from scaleaudit.report.terminal import printable

# Names short enough to stand beside a curve, and the pen that each always has.
_SHORT = {
    "": ("as it is", 0),
    WORDS[FixKind.PENALTY]: ("penalty", 1),
    WORDS[FixKind.NORM_BETWEEN]: ("norm between turns", 2),
    WORDS[FixKind.RAW_READOUT]: ("raw readout", 3),
}

Traced: TypeAlias = Sequence[tuple[TrainingRun, StateTrace]]


def of_training(traced: Traced) -> Iterator[Chart]:
    """Yield what became of a state: over steps, over turns, and what depth does to the loss."""
    yield _by_step(traced)
    yield _by_turn(traced)
    yield _loss_by_depth(traced)


def _groups(traced: Traced) -> Iterator[tuple[str, int, Traced]]:
    """Yield what each fix is called and drawn with, and its runs, the target as it is first."""
    fixes = dict.fromkeys(run.fix for run, _ in sorted(traced, key=lambda each: each[0].fix != ""))
    free = (pen for pen in range(len(_SHORT), len(_SHORT) + len(fixes)))
    for fix in fixes:
        name, pen = _SHORT[fix] if fix in _SHORT else (clipped(printable(fix)), next(free))
        yield name, pen, [each for each in traced if each[0].fix == fix]


def _ended(traced: Traced) -> str:
    steps = [run.overflowed for run, _ in traced if run.overflowed is not None]
    if not steps:
        return ""
    seeds = f" in {len(steps)} of {len(traced)} seeds" if len(traced) > 1 else ""
    return f"no number at step {min(steps)}{seeds}"


def _by_step(traced: Traced) -> Chart:
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
        Axis(LENGTH, log=True),
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


def _by_turn(traced: Traced) -> Chart:
    curves = tuple(
        Curve(name, lengths([_turn_lengths(trace) for _, trace in group]), pen, seeds=len(group))
        for name, pen, group in _groups(traced)
        if not _ended(group)
    )
    return Chart(
        "norm-turn",
        "Length of the state turn by turn",
        f"After training.{_trained(traced)}{_bands(curves)}",
        of_turns(curves),
        Axis(LENGTH, log=True),
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


def _trained_turns(traced: Traced) -> int:
    return max((len(turns) for _, trace in traced for turns in trace.turns), default=0)


def _deepest(traced: Traced) -> int:
    return max((at.turns for _, trace in traced for at in trace.depths), default=0)


def _trained(traced: Traced) -> str:
    turns = _trained_turns(traced)
    if _deepest(traced) <= turns:
        return ""
    return f" It was trained with {turns} turns; more of them repeat the last one."


def _marks(traced: Traced) -> tuple[Mark, ...]:
    """Point out how deep it was trained, and twice and four times that where it was run."""
    turns, deepest = _trained_turns(traced), _deepest(traced)
    if not 0 < turns < deepest:
        return ()
    beyond = (Mark(times * turns, f"×{times}") for times in (2, 4) if times * turns <= deepest)
    return (Mark(turns, f"trained: {turns}"), *beyond)


def _loss_by_depth(traced: Traced) -> Chart:
    curves = tuple(
        Curve(name, losses([_losses(trace.depths) for _, trace in group]), pen, seeds=len(group))
        for name, pen, group in _groups(traced)
        if not _ended(group)
    )
    return Chart(
        "loss-depth",
        "Loss against depth",
        f"Every readout is given the state of that turn.{_trained(traced)}{_bands(curves)}",
        of_turns(curves),
        Axis(LOSS, log=is_wide(curves)),
        curves,
        _marks(traced),
        pointed=True,
    )


def _losses(depths: Sequence[Depth]) -> list[tuple[float, float]]:
    return [(at.turns, at.loss) for at in depths]


def loss_by_step(traced: Traced) -> Chart:
    """Return the loss over training."""
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
        Axis(LOSS, log=is_wide(curves)),
        curves,
    )
