"""What was measured without training: as part of the JSON report, and as a table for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from scaleaudit.domain.diagnostics import (
    SWEEP,
    Diagnostics,
    PowerLaw,
    ReadoutResponse,
    StateDiagnostics,
    TurnStep,
)
from scaleaudit.report.encoding import Json
from scaleaudit.report.terminal import printable

# The factors that are shown, by what they are called.
_FACTORS = {"1/8": 0.125, "1": 1.0, "8": 8.0, "1e2": 1e2, "1e4": 1e4}
# Digits that tell a flat sweep from one that falls slowly.
_CELL = "{:.5g}"
# The width of the words before a row of numbers, and of a number.
_WORDS, _COLUMN = 22, 11
# Readouts that fit a line of a terminal.
_MOST_TURNS = 5


def diagnostics_document(found: Diagnostics | None) -> Json:
    """Write what was measured as JSON; null where nothing was, or where a number is none."""
    if found is None:
        return None
    return {
        "weights": found.weights or None,
        "loss": _number(found.loss),
        "factors": list(SWEEP),
        "states": [_state_document(state) for state in found.states],
    }


def _state_document(state: StateDiagnostics) -> Json:
    return {
        "name": state.state,
        "loop": state.loop,
        "turns": state.turns,
        "losses": [_number(loss) for loss in state.losses],
        "readouts": [_readout_document(readout) for readout in state.readouts],
        "steps": [_step_document(step) for step in state.steps],
        "growth": _law_document(state.growth),
        "turning": _law_document(state.turning),
        "radius": _number(state.radius),
        "clamped": _number(state.clamped),
        "headroom": _number(state.headroom),
        "reason": state.reason or None,
    }


def _readout_document(readout: ReadoutResponse) -> Json:
    return {
        "turn": readout.turn,
        "losses": [_number(loss) for loss in readout.losses],
        "radial": _number(readout.radial),
    }


def _step_document(step: TurnStep) -> Json:
    return {
        "turn": step.turn,
        "norm": _number(step.norm),
        "radial": _number(step.radial),
        "angular": _number(step.angular),
        "swallowed": _number(step.swallowed),
        "largest": _number(step.largest),
    }


def _law_document(law: PowerLaw | None) -> Json:
    return {"exponent": law.exponent, "error": law.error} if law else None


def _number(value: float | None) -> Json:
    return value if value is not None and math.isfinite(value) else None


def diagnostics_lines(found: Diagnostics) -> Iterator[str]:
    """Write what was measured for people."""
    weights = f"with {printable(found.weights)}" if found.weights else "at initialisation"
    yield f"without training, {weights}: loss {_CELL.format(found.loss)}"
    for state in found.states:
        yield f"  state `{printable(state.state)}` of loop `{printable(state.loop)}`"
        if state.reason:
            yield f"    not measured: {printable(state.reason)}"
        if state.losses:
            yield from _sweeps(state)
        if state.steps:
            yield from _turns(state)
        yield from _laws(found, state)


def _sweeps(state: StateDiagnostics) -> Iterator[str]:
    yield _row("length times", _FACTORS)
    yield _row("loss, at every turn", _sweep(state.losses))
    for readout in _spread(state.readouts):
        yield _row(f"loss, at turn {readout.turn} alone", _sweep(readout.losses))
    if state.readouts:
        shown = _spread(state.readouts)
        yield _row("read after turn", (str(readout.turn) for readout in shown))
        yield _row("radial gradient", (_cell(each.radial, "{:.1e}") for each in shown))
    else:
        yield "    no readout: the loss reads it through other states alone, or not at all"


def _sweep(losses: Sequence[float]) -> Iterator[str]:
    return (_CELL.format(losses[SWEEP.index(factor)]) for factor in _FACTORS.values())


def _turns(state: StateDiagnostics) -> Iterator[str]:
    shown = _told(state.steps, state.turns)
    columns: tuple[tuple[str, Callable[[TurnStep], float | None], str], ...] = (
        ("length", lambda step: step.norm, "{:.4g}"),
        ("radial step", lambda step: step.radial, "{:.3g}"),
        ("angle of the step", lambda step: step.angular, "{:.3g}"),
        ("lost in bf16", lambda step: step.swallowed, "{:.1%}"),
    )
    yield _row("turn", (str(step.turn) for step in shown))
    for words, value, form in columns:
        yield _row(words, (_cell(value(step), form) for step in shown))


def _laws(found: Diagnostics, state: StateDiagnostics) -> Iterator[str]:
    if state.growth:
        yield f"    length goes as turn^{_law(state.growth)}"
    if state.turning:
        yield f"    angle of a step goes as length^{_law(state.turning)}"
    if state.radius is not None:
        yield f"    a turn of a very long state multiplies it by {state.radius:.4g}"
    if state.clamped is not None:
        clamped = _CELL.format(state.clamped)
        yield f"    loss without radial steps {clamped}, with them {_CELL.format(found.loss)}"
    if state.headroom is not None:
        deepest = state.steps[-1].turn
        yield f"    fp16 overflows at {state.headroom:.4g} times the state after turn {deepest}"


def _law(law: PowerLaw) -> str:
    return f"{law.exponent:.2f}, within {law.error:.1%}"


def _told(steps: Sequence[TurnStep], turns: int) -> list[TurnStep]:
    """Return the turns to show: the first, the program's last, and those at 2, 3 and 4 times it."""
    wanted = {1, turns, 2 * turns, 3 * turns, 4 * turns}
    return [step for step in steps if step.turn in wanted]


def _spread(readouts: Sequence[ReadoutResponse]) -> list[ReadoutResponse]:
    """Return as many readouts as fit a line, the first and the last among them."""
    last = len(readouts) - 1
    if last < _MOST_TURNS:
        return list(readouts)
    return [readouts[round(k * last / (_MOST_TURNS - 1))] for k in range(_MOST_TURNS)]


def _cell(value: float | None, form: str) -> str:
    return form.format(value) if value is not None else "-"


def _row(words: str, cells: Iterable[str]) -> str:
    return f"    {words:<{_WORDS}}{''.join(f'{cell:>{_COLUMN}}' for cell in cells)}"
