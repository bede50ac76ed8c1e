"""What finished runs show of a state: seed by seed for the decision, and together for the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scaleaudit.domain.facts import StateProbe
from scaleaudit.domain.loops import Loop
from scaleaudit.domain.probing import TrainingRun
from scaleaudit.errors import ProbeError
from scaleaudit.probe import thresholds
from scaleaudit.probe.deciding import Decision, Seed, span
from scaleaudit.probe.depth import cycles
from scaleaudit.probe.response import Response
from scaleaudit.probe.twins import Fix

Runs = Mapping[tuple[int, Fix], TrainingRun]


def seeds_of(runs: Runs, loop: Loop, index: int, *, again: bool = False) -> list[Seed]:
    """Return what every finished pair of a run and its twin shows of a state.

    Args:
        loop: The loop of the state.
        index: The state's position among all states of the runs.
        again: Whether these are longer runs, made as the first left something open.
    """
    found = []
    for seed in sorted({seed for seed, _ in runs}):
        own, twin = (runs.get((seed, fix)) for fix in (Fix.NONE, Fix.PENALTY))
        if own is not None and twin is not None:
            found.append(replace(_seed(own, twin, loop, index), again=again))
    return found


def _seed(own: TrainingRun, twin: TrainingRun, loop: Loop, index: int) -> Seed:
    mine = own.states[index]
    turns, _ = cycles(loop)
    norms = {each.turns: each.norm for each in mine.depths}
    before, after = norms.get(turns), norms.get(4 * turns)
    return Seed(
        first=mine.turns[0][-1].mean if mine.ended is not None else math.nan,
        norm=mine.ended if mine.ended is not None else math.nan,
        twin=_ended(twin, index),
        deeper=after / before if before and after is not None else None,
        span=span(norms.values()),
        overflowed=own.overflowed is not None and twin.overflowed is None,
        learnt=fallen(twin) > thresholds.LEAST_LEARNT,
        late=grown_late(own, index),
        carry=mine.carry,
    )


def grown_late(run: TrainingRun, index: int) -> float | None:
    """Return by what a state grew over the last three quarters of a run; None where that is not known."""
    trace, quarter = run.states[index], len(run.losses) / 4
    lengths = zip(run.measured, (turns[-1].mean for turns in trace.turns if turns), strict=False)
    before = next((length for step, length in lengths if step >= quarter), 0.0)
    return trace.ended / before if trace.ended is not None and before > 0 else None


def _ended(twin: TrainingRun, index: int) -> float:
    """Where a twin ended, none where it came apart: it is then nothing to hold a target against."""
    ended = twin.states[index].ended
    return math.nan if ended is None or twin.overflowed is not None else ended


def probed_state(
    loop: Loop,
    state: int,
    response: Response,
    seeds: Sequence[Seed],
    decision: Decision,
    steps: int,
) -> StateProbe:
    """Put together what is reported of a state, of which seeds were trained for so many steps."""
    deepers = tuple(seed.deeper for seed in seeds if seed.deeper is not None)
    return StateProbe(
        state=loop.states[state].name,
        loop=loop.name,
        verdict=decision.verdict,
        response=response.change if response.is_known else None,
        norm=_mean(seed.norm for seed in seeds),
        twin=Fix.PENALTY.value if seeds else "",
        twin_norm=_mean(seed.twin for seed in seeds),
        deeper=_mean(deepers),
        reason=decision.reason,
        ratios=tuple(seed.ratio for seed in seeds),
        deepers=deepers,
        steps=steps if seeds else 0,
        directions=response.directions,
    )


def refuse_constant(run: TrainingRun) -> None:
    """Complain of a loss that no step of training moves.

    Raises:
        ProbeError: It is the same at every step at which it is a number.
    """
    losses = [loss for loss in run.losses if math.isfinite(loss)]
    low, high = min(losses, default=0.0), max(losses, default=0.0)
    if len(losses) > 1 and high - low <= thresholds.CONSTANT * max(abs(low), abs(high)):
        raise ProbeError(
            f"the loss is constant: it is {high:.6g} at every step, so there is nothing to train on",
            hint="Is it multiplied by zero, or computed from a constant output?",
        )


def refuse_no_number(run: TrainingRun) -> None:
    """Complain of a loss that training cannot begin with.

    Raises:
        ProbeError: It is no number with the weights as they start.
    """
    if not math.isfinite(run.losses[0]):
        raise ProbeError(
            f"the loss is no number before any step: it is {run.losses[0]:g} on the first batch",
            hint="Does it divide by zero, take the logarithm of zero, or pass the largest number of "
            "its type?",
        )


def refuse_half(run: TrainingRun) -> None:
    """Complain of float16 weights that come apart with a penalty as well.

    Raises:
        ProbeError: They do.
    """
    if run.overflowed is not None:
        raise ProbeError(
            f"the weights are float16, and with them even the twin with a penalty ends in no numbers, "
            f"at step {run.overflowed}: AdamW's squares of small gradients are 0 in float16, and it "
            "divides by them",
            hint="Give the model and its inputs in float32 or bfloat16, as by .float().",
        )


def fallen(run: TrainingRun) -> float:
    """Return by what share of its first value the loss fell."""
    last = run.losses[-thresholds.LAST_LOSSES :]
    first, ended = run.losses[0], sum(last) / len(last)
    if not (math.isfinite(first) and math.isfinite(ended)):
        return -math.inf
    return (first - ended) / max(abs(first), 1e-30)


def _mean(values: Iterable[float]) -> float | None:
    """The geometric mean, as norms differ by factors."""
    found = list(values)
    if not found or not all(0 < value < math.inf for value in found):
        return None
    return math.exp(sum(map(math.log, found)) / len(found))
