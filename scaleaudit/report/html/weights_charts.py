"""Charts of what needs no training: the loss as a state is scaled, and what further turns do to it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scaleaudit.domain.diagnostics import SWEEP, ReadoutResponse, StateDiagnostics
from scaleaudit.report.html.chart import (
    LOSS,
    Axis,
    Chart,
    Curve,
    is_wide,
    lengths,
    losses,
    number,
    of_turns,
)

# Readouts that are told apart in a plot, and by how much they must differ from all together.
_MOST_READOUTS, _APART = 3, 0.02
# The factors that are named below an axis.
_FACTORS = (1.0, 1e2, 1e4)


def by_scale(found: StateDiagnostics) -> Chart:
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
        Axis(LOSS, log=is_wide(curves)),
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


def by_angle(found: StateDiagnostics) -> Chart:
    """How far a turn still turns the state: a long one is hardly moved."""
    row = [(s.turn, s.angular) for s in found.steps if s.angular is not None and s.angular > 0]
    law = found.turning
    said = f" It goes as the length to the power {law.exponent:.2f}." if law else ""
    curves = (Curve("angle", lengths([row]), 0),)
    return Chart(
        "angle-turn",
        "Angle by which a turn moves the state",
        f"Before training, out to four times the turns.{said}",
        of_turns(curves),
        Axis("angle of a step, radians, mean over tokens", log=True),
        curves,
        pointed=True,
    )
