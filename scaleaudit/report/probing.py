"""Probes in reports: everything as JSON, and a compact table with sparklines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, StateProbe
from scaleaudit.domain.probing import Carry, TrainingRun
from scaleaudit.domain.twins import behind
from scaleaudit.report.diagnostics import diagnostics_document, diagnostics_lines
from scaleaudit.report.encoding import Json
from scaleaudit.report.terminal import Ink, Style, printable
from scaleaudit.traces import run_document

_BARS = "▁▂▃▄▅▆▇█"
# Columns of a sparkline, and of what a run is called.
_SPARK, _CALLED = 12, 36
# Losses at the end of a run that are averaged.
_LAST = 10
_STYLES = {
    ProbeVerdict.CONFIRMED: Style.ERROR,
    ProbeVerdict.REFUTED: Style.GOOD,
    ProbeVerdict.INCONCLUSIVE: Style.WARNING,
}
# Relative change of the objective that counts as none, as in the decision.
_UNTOUCHED = "as it is"


def probe_document(found: ProbeOutcome | None) -> Json:
    """Write a probe as JSON; null where none was made, or where a number is none."""
    if found is None:
        return None
    return {
        "verdict": found.verdict.value,
        "reason": found.reason or None,
        "steps": found.steps,
        "seeds": found.seeds,
        "seconds": round(found.seconds, 3),
        "recipe": dict(found.recipe),
        "notes": list(found.notes),
        "states": [_state_document(each) for each in found.states],
        "runs": [run_document(run) for run in found.runs],
        "diagnostics": diagnostics_document(found.diagnostics),
    }


def _state_document(state: StateProbe) -> Json:
    return {
        "name": state.state,
        "loop": state.loop,
        "verdict": state.verdict.value,
        "response": _number(state.response),
        "norm": _number(state.norm),
        "twin": state.twin or None,
        "twin_norm": _number(state.twin_norm),
        "ratios": [_number(ratio) for ratio in state.ratios],
        "deeper": _number(state.deeper),
        "deepers": [_number(factor) for factor in state.deepers],
        "directions": _number(state.directions),
        "steps": state.steps,
        "reason": state.reason or None,
    }


def probe_lines(found: ProbeOutcome, ink: Ink) -> Iterator[str]:
    """Write a probe for people, a table for every state."""
    verdict = ink(_STYLES[found.verdict], found.verdict.value)
    yield f"probe: {verdict}{_ran(found)} ({found.seconds:.0f} s)"
    if found.reason:
        yield f"  {printable(found.reason)}"
    if found.recipe:
        yield f"  {printable('; '.join(text for _, text in found.recipe))}"
    for note in found.notes:
        yield f"  note: {printable(note)}"
    for index, state in enumerate(found.states):
        yield from _state_lines(found, index, state, ink)
    if found.diagnostics is not None and (not found.runs or found.diagnostics.weights):
        yield from diagnostics_lines(found.diagnostics)


def _ran(found: ProbeOutcome) -> str:
    """Say how long and how often what the verdict rests on was trained."""
    if not found.runs:
        return ""
    steps = {state.steps for state in found.states if state.steps} or {found.steps}
    span = " to ".join(map(str, dict.fromkeys((min(steps), max(steps)))))
    seeds = max((len(state.ratios) for state in found.states), default=0) or found.seeds
    return f" after {span} steps, {_counted(seeds)}"


def _state_lines(found: ProbeOutcome, index: int, state: StateProbe, ink: Ink) -> Iterator[str]:
    verdict = ink(_STYLES[state.verdict], state.verdict.value)
    yield f"  state {printable(state.state)} of loop {printable(state.loop)}: {verdict}"
    if state.reason:
        yield f"    {printable(state.reason)}"
    if state.response is not None:
        moves = "falls" if state.response < 0 else "changes"
        yield f"    scaled from 1e2 to 1e4, the objective {moves} by {abs(state.response):.2g}"
    if state.directions is not None and state.directions < 1:
        yield f"    it sees the length along {state.directions:.0%} of the state's directions"
    if state.ratio is not None:
        yield f"    norm over that of the twin with {printable(state.twin)}: {_spread(state.ratio, state.ratios)}"
    if state.deeper is not None:
        yield f"    norm at four times the turns: x {_spread(state.deeper, state.deepers)}"
    runs = _first_of_each(behind(found, state))
    yield from _carry_lines([run.states[index].carry for run in runs if not run.fix])
    yield from _table(runs, index, state.steps)


def _carry_lines(found: Sequence[Carry]) -> Iterator[str]:
    """Say what the weights of the first seed make of length."""
    if found and found[0].kept is not None:
        yield f"    a turn multiplies the length of a very long state by {found[0].kept:.4g}"
    if found and found[0].attainable is not None:
        yield f"    and can be trained to multiply it by {found[0].attainable:.4g}"
    if found and found[0].reach is not None:
        yield f"    weights of 1e4 times make it {found[0].reach:.3g} times as long as weights of 1e2 times"


def _spread(middle: float, values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    between = f" ({low:.3g} to {high:.3g} over {_counted(len(values))})" if len(values) > 1 else ""
    return f"{middle:.3g}{between}"


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _first_of_each(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    """The target and its twins on the first seed, the target first."""
    found: dict[str, TrainingRun] = {}
    for run in sorted(runs, key=lambda run: (run.seed, run.fix != "")):
        found.setdefault(run.fix, run)
    return list(found.values())


def _table(runs: Sequence[TrainingRun], index: int, steps: int) -> Iterator[str]:
    """One line a run: what its norm did, where it and the loss ended, and both at more turns."""
    traces = [run.states[index] for run in runs]
    if not traces:
        return
    trained = max((len(turns) for trace in traces for turns in trace.turns), default=0)
    depths = [at.turns for at in traces[0].depths if at.turns >= trained]
    heads = [f"norm@{turns}" for turns in depths] + [f"loss@{turns}" for turns in depths]
    columns = "".join(f"{head:>10}" for head in ("norm", "loss", *heads))
    yield f"    {'':{_CALLED}} {'norm by step':{_SPARK}}{columns}"
    means = [[turns[-1].mean for turns in trace.turns if turns] for trace in traces]
    spans = [value for row in means for value in row if 0 < value < math.inf]
    for run, trace, row in zip(runs, traces, means, strict=True):
        at = {depth.turns: depth for depth in trace.depths}
        numbers = [row[-1] if row else None, _last_loss(run)]
        numbers += [at[turns].norm if turns in at else None for turns in depths]
        numbers += [at[turns].loss if turns in at else None for turns in depths]
        called = f"with {run.fix}" if run.fix else _UNTOUCHED
        cells = "".join(f"{_cell(number):>10}" for number in numbers)
        ended = f"  no number at step {run.overflowed}" if run.overflowed is not None else ""
        if run.overflowed is None and len(run.losses) < steps:
            ended = f"  after {len(run.losses)} steps"
        yield f"    {called:{_CALLED}} {sparkline(row, spans):{_SPARK}}{cells}{ended}"


def sparkline(row: Sequence[float], spans: Sequence[float]) -> str:
    """Draw a row of positive numbers in a line, on the logarithmic scale that others share."""
    if not spans:
        return ""
    low, high = math.log(min(spans)), math.log(max(spans))
    step = max(1, -(-len(row) // _SPARK))
    shown = [*row[:-1:step][: _SPARK - 1], row[-1]] if row else []
    return "".join(_bar(value, low, high) for value in shown)


def _bar(value: float, low: float, high: float) -> str:
    if not 0 < value < math.inf:
        return "?"
    share = (math.log(value) - low) / (high - low) if high > low else 0.0
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]


def _last_loss(run: TrainingRun) -> float | None:
    last = run.losses[-_LAST:]
    return sum(last) / len(last) if last else None


def _cell(number: float | None) -> str:
    if number is None or math.isnan(number):
        return "-"
    return f"{number:.4g}"


def _number(value: float | None) -> Json:
    """Write a number; JSON has no word for infinity."""
    return value if value is not None and math.isfinite(value) else None
