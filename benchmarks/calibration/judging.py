"""Holds what the probe's rule says of the recorded figures against what is so."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from unittest.mock import patch

from benchmarks.calibration.cases import Case, Family, Part, Truth
from benchmarks.calibration.records import Figures, Record
from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.probing import Carry
from scaleaudit.probe import thresholds
from scaleaudit.probe.deciding import Seed, decide, is_clear, span, together
from scaleaudit.probe.response import Response

# The most seeds that the command runs where nobody asks for more.
# Steps of a run; what they leave open is trained for longer.
_FIRST_STEPS = 100
_MOST_SEEDS = 3


class Outcome(Enum):
    """A verdict beside the truth."""

    RIGHT = "right"
    WRONG_CONFIRMED = "wrong confirmed"
    WRONG_REFUTED = "wrong refuted"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The thresholds that a calibration sets, by their names in the probe."""

    GROWN_RATIO: float
    GROWN_DEEPER: float
    STAYED_RATIO: float
    STAYED_DEEPER: float
    ESCAPED_RATIO: float

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the probe's rule go by these for a while."""
        with patch.multiple(thresholds, **asdict(self)):
            yield


def in_use() -> Bounds:
    """Return the thresholds that the probe goes by."""
    return Bounds(**{name: getattr(thresholds, name) for name in Bounds.__dataclass_fields__})


def fitted(records: Iterable[Record]) -> Bounds:
    """Set thresholds by runs: where scale is free, a third and two thirds of the way, in logarithms.

    The way leads from what held states do, a ratio of 1 and the deeper that was seen, to the least
    that a blind one did. Where the loss sees the scale, the bound is half as much again as the
    largest ratio of a controlled run.
    """
    found = [record for record in records if record.states]
    free = [record for record in found if _is_flat(record)]
    blind = [record for record in free if record.case.family.truth is Truth.BLIND]
    held = [record for record in free if record.case.family.truth is Truth.CONTROLLED]
    seen = [record for record in found if record not in free]
    grew = min(_ratios(blind), default=math.inf)
    deepest = max((1.0, *_deepers(held)))
    deeper = max(deepest, min(_deepers(blind), default=math.inf))
    return Bounds(
        GROWN_RATIO=_between(1.0, max(1.0, grew), 2 / 3),
        GROWN_DEEPER=_between(deepest, deeper, 2 / 3),
        STAYED_RATIO=_between(1.0, max(1.0, grew), 1 / 3),
        STAYED_DEEPER=_between(deepest, deeper, 1 / 3),
        ESCAPED_RATIO=thresholds.CLEAR * max((1.0, *_ratios(seen))),
    )


def _between(low: float, high: float, share: float) -> float:
    return round(low * math.pow(high / low, share), 3)


def _is_flat(record: Record) -> bool:
    return all(response_of(state).is_flat for state in record.states)


def _ratios(records: Iterable[Record]) -> list[float]:
    found = (state.ratio for record in records for state in record.states)
    return [ratio for ratio in found if math.isfinite(ratio)]


def _deepers(records: Iterable[Record]) -> list[float]:
    return [s.deeper for record in records for s in record.states if s.deeper is not None]


def response_of(state: Figures) -> Response:
    """Return an answer to scale that changes by as much as was recorded."""
    if not state.known:
        return Response((1.0, math.nan, math.nan))
    change = math.inf if state.response is None else state.response
    # Of what rises the change is by the larger value, which comes last; of what falls the first is 1.
    after = 1.0 + change if change < 0 else 1.0 / (1.0 - change) if change < 1 else math.inf
    return Response((1.0, 1.0, after), directions=state.directions)


def verdict_of(records: Sequence[Record]) -> ProbeVerdict:
    """Return what the probe says where it is shown these runs of one model, in this order.

    As the command does, it asks for no more seeds as soon as all states are clear.
    """
    shown: list[Record] = []
    for record in records[:_MOST_SEEDS]:
        shown.append(record)
        states = list(_seeds(shown))
        if all(is_clear(response, seeds) for response, seeds in states):
            break
    return together([decide(response, seeds).verdict for response, seeds in states])


def _seeds(records: Sequence[Record]) -> Iterator[tuple[Response, list[Seed]]]:
    """Yield, state by state, how the loss answers to scale and what every run showed."""
    for place, state in enumerate(records[0].states):
        yield response_of(state), [_seed(record, record.states[place]) for record in records]


def _seed(record: Record, state: Figures) -> Seed:
    first, norm, twin = (
        math.nan if value is None else value for value in (state.first, state.norm, state.twin)
    )
    return Seed(
        first=first,
        norm=norm,
        twin=twin,
        deeper=state.deeper,
        span=span(norm for _, norm in state.depths if norm is not None),
        overflowed=record.overflowed,
        learnt=(record.fall or 0.0) > thresholds.LEAST_LEARNT,
        late=state.late,
        again=record.steps > _FIRST_STEPS,
        carry=Carry(state.kept, state.reach, state.untouched, state.attainable),
    )


def outcome_of(records: Sequence[Record]) -> Outcome:
    """Hold the verdict on runs of one model against what is so."""
    made = [record for record in records if record.states]
    if not made:
        return Outcome.FAILED
    verdict, truth = verdict_of(made), made[0].case.family.truth
    match verdict:
        case ProbeVerdict.INCONCLUSIVE:
            return Outcome.INCONCLUSIVE
        case ProbeVerdict.CONFIRMED:
            return Outcome.WRONG_CONFIRMED if truth is Truth.CONTROLLED else Outcome.RIGHT
        case ProbeVerdict.REFUTED:
            return Outcome.WRONG_REFUTED if truth is Truth.BLIND else Outcome.RIGHT


def by_run(records: Mapping[Case, Record]) -> dict[Part, Counter[Outcome]]:
    """Count outcomes where every run has to do by itself."""
    found: dict[Part, Counter[Outcome]] = defaultdict(Counter)
    for case, record in sorted(records.items()):
        found[case.part][outcome_of([record])] += 1
    return found


def by_model(records: Mapping[Case, Record]) -> dict[Part, Counter[Outcome]]:
    """Count outcomes where the runs of a model in a part are put together."""
    runs_of: dict[tuple[Part, Family], list[Record]] = defaultdict(list)
    for case, record in sorted(records.items()):
        runs_of[case.part, case.family].append(record)
    found: dict[Part, Counter[Outcome]] = defaultdict(Counter)
    for (part, _), runs in runs_of.items():
        found[part][outcome_of(runs)] += 1
    return found


def setting(records: Mapping[Case, Record]) -> list[Record]:
    """Return the runs that set thresholds."""
    return [record for case, record in records.items() if case.part is Part.SETS]
