"""What was measured of a state without training, as tables and sentences of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.report.html.chart import Table
from scaleaudit.report.html.wording import number

# Readouts of a long loop that tell all of it.
_MOST_READOUTS = 6
_COLUMNS: tuple[tuple[str, Callable[[TurnStep], str]], ...] = (
    ("turn", lambda step: str(step.turn)),
    ("length", lambda step: number(step.norm)),
    ("radial step", lambda step: number(step.radial)),
    ("angle of the step, radians", lambda step: number(step.angular)),
    ("lost in bf16", lambda step: "–" if step.swallowed is None else f"{step.swallowed:.1%}"),
    ("largest element", lambda step: number(step.largest)),
)


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """What was measured of one state.

    Attributes:
        tables: Each with its caption.
        sentences: What the numbers come to.
    """

    tables: tuple[tuple[str, Table], ...]
    sentences: tuple[str, ...]


def diagnosed(found: Diagnostics | None, index: int) -> Diagnosed | None:
    """Tell what was measured of the state at a position; None where that was not asked for."""
    if found is None or index >= len(found.states):
        return None
    state = found.states[index]
    return Diagnosed(tuple(_tables(state)), tuple(_sentences(found, state)))


def _tables(state: StateDiagnostics) -> Iterator[tuple[str, Table]]:
    if state.losses:
        yield "The objective as the state is scaled", _sweeps(state)
    if state.steps:
        heads = tuple(head for head, _ in _COLUMNS)
        rows = tuple(tuple(cell(step) for _, cell in _COLUMNS) for step in _told(state))
        yield "How a turn moves the state: means over its tokens", Table(heads, rows)


def _sweeps(state: StateDiagnostics) -> Table:
    """A row for all turns together, and one for every turn after which the loss reads the state."""
    heads = ("length times", *(f"{factor:g}" for factor in SWEEP), "radial gradient")
    rows = [("at every turn", *map(number, state.losses), "")]
    for readout in _spread(state.readouts):
        told = map(number, readout.losses)
        rows.append((f"at turn {readout.turn} alone", *told, number(readout.radial)))
    return Table(heads, tuple(rows))


def _spread(readouts: tuple[ReadoutResponse, ...]) -> Iterator[ReadoutResponse]:
    last = len(readouts) - 1
    if last < _MOST_READOUTS:
        yield from readouts
        return
    for k in range(_MOST_READOUTS):
        yield readouts[round(k * last / (_MOST_READOUTS - 1))]


def _told(state: StateDiagnostics) -> list[TurnStep]:
    """Return the first turn, the program's last, and those at 2, 3 and 4 times it."""
    wanted = {1, *(times * state.turns for times in (1, 2, 3, 4))}
    return [step for step in state.steps if step.turn in wanted]


def _sentences(found: Diagnostics, state: StateDiagnostics) -> Iterator[str]:
    if state.reason:
        yield f"Not measured: {state.reason}"
    if state.losses and not state.readouts:
        yield "No readout: the loss reads it through other states alone, or not at all."
    if state.growth:
        yield f"Its length goes as the number of turns to the power {_law(state.growth)}."
    if state.turning:
        yield f"The angle of a step goes as the length to the power {_law(state.turning)}."
    if state.radius is not None:
        yield f"A turn of a very long state multiplies it by {number(state.radius)}."
    if state.clamped is not None:
        yield (
            f"Without radial steps the objective is {number(state.clamped)}, with them "
            f"{number(found.loss)}."
        )
    if state.headroom is not None:
        turn = state.steps[-1].turn
        yield f"fp16 overflows at {number(state.headroom)} times the state after turn {turn}."


def _law(law: PowerLaw) -> str:
    return f"{law.exponent:.2f}, within {law.error:.1%}"
