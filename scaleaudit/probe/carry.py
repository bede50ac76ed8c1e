"""What trained weights say of a loop directly: whether its turns keep length, and how long they make it.

Training shows growth only where it has time and room. Two measurements need neither:

- *Carry*: states that are made very long, and what a turn leaves of that. A loop that forgets length
  cannot pile it up, whatever training does; one that keeps it whole does as soon as it writes. Of one
  that forgets it bit by bit it is asked how much it can be trained to keep.
- *Reach*: how much longer states become as all trained weights are multiplied. Where they do not, what
  turns write is bounded by how they are built.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median_low

from torch import Tensor

from scaleaudit.domain.probing import Carry
from scaleaudit.probe.depth import Deeper, States, Turn
from scaleaudit.probe.group import ALONE, Group
from scaleaudit.probe.keeping import LONG, Keeping
from scaleaudit.probe.parts import WHOLE, Measured, Parts
from scaleaudit.probe.program import Program
from scaleaudit.probe.thresholds import BOUNDED_REACH, FORGOTTEN
from scaleaudit.probe.thresholds import WHOLE as KEPT_WHOLE
from scaleaudit.probe.traces import FURTHER

# A little longer, and by what share it is then varied to see what becomes of the length itself, apart
# from what turns write. From _ABOUT_WHOLE on that says that it is kept.
_LONGER, _A_LITTLE, _ABOUT_WHOLE = 10.0, 1e-4, 0.99
# Shares of that length up to which a state is no longer said to be long.
_GONE = 1e-4
# What weights are multiplied by; the first saturates what saturates.
_WEIGHTS = (1e2, 1e4)


def carries(
    program: Program,
    feed: Mapping[str, Tensor],
    trained: Collection[str],
    loop: int,
    group: Group = ALONE,
    parts: Parts = WHOLE,
) -> list[Carry]:
    """Measure all states of a loop.

    Args:
        program: Made ``wide``, so that it runs in float64.
        feed: Trained weights, buffers and inputs by name.
        trained: The names of the weights that training moves.
        group: The processes that each have a part of the batch.
        parts: What of a state is measured, where that is not all.
    """
    measured = Measured(loop, parts, group)
    feed = {name: value.detach() for name, value in feed.items()}
    keeping = Keeping(program, feed, loop, measured)
    deeper = Deeper(program, loop)
    factors = keeping.factors()
    if not deeper.possible:
        # Turns that read all earlier ones may forget each and pile them up all the same.
        usual = [median_low(found) if found else 0.0 for found in factors]
        return [Carry(kept if kept >= KEPT_WHOLE else None) for kept in usual]
    last, turned = deeper.turn(feed)
    lasting = _lasting(last, turned, deeper.turns, measured)
    fading = any(kept is not None and FORGOTTEN < kept < KEPT_WHOLE for kept, _ in lasting)
    attained = keeping.attainable(trained) if fading else [None] * len(last)
    reached = _reached(deeper, feed, trained, measured)
    kept = [_of_all_turns(each, found) for (each, _), found in zip(lasting, factors, strict=True)]
    most = [
        None if found is None else max(found, each or 0.0)
        for found, each in zip(attained, kept, strict=True)
    ]
    untouched = [share for _, share in lasting]
    return [Carry(*each) for each in zip(kept, reached, untouched, most, strict=True)]


def _of_all_turns(last: float | None, factors: Sequence[float]) -> float | None:
    """Return what a turn keeps where turns differ, and what the last one keeps where they do not.

    Turns that forget speak for all as long as length lasts for no more than half of the turns at a
    time: a norm every third time holds a state, one at the very end of many turns does not.

    Args:
        last: What the last turn keeps.
        factors: What the turns of the program keep, from the second on.
    """
    keeping = [factor for factor in factors if factor > FORGOTTEN]
    if last is None or len(keeping) in (0, len(factors)):
        return last
    longest = _longest_run([True, *(factor > FORGOTTEN for factor in factors)])
    if 2 * longest <= len(factors) + 1:
        return min(factors)
    return median_low(keeping) if last <= FORGOTTEN else last


def _longest_run(flags: Iterable[bool]) -> int:
    """Return how many are true in a row at most."""
    return max(len([*run]) if flag else 0 for flag, run in groupby(flags))


def _lasting(
    last: States, turned: Turn, turns: int, measured: Measured
) -> list[tuple[float | None, float]]:
    """By what the last turn multiplies long states, and the share of tokens that it leaves alone.

    The first is the least of longer and of very long states. Gates that read the state let anything
    through once it is long enough, so those are asked as well that are only a little longer than they
    would be.
    """
    states, longer = _times(last, LONG), _times(last, _LONGER)
    path = [measured.tokens(states)]
    for _ in range((max(FURTHER) - 1) * turns):
        states = turned(states)
        path.append(measured.tokens(states))
    moved = measured.tokens(_difference(turned(longer), longer))
    found = []
    for place, little in enumerate(_shares(longer, turned, turns, measured)):
        kept = _rate([float(at[place].mean()) for at in path], turns)
        if kept is not None and little < _ABOUT_WHOLE:
            kept = min(kept, little)
        found.append((kept, float((moved[place] == 0).double().mean())))
    return found


def _shares(states: States, turned: Turn, turns: int, measured: Measured) -> list[float]:
    """Return by what a turn multiplies a little more of the length that states have."""
    found = [1.0 for _ in states]
    for _ in range(turns):
        more = _times(states, 1 + _A_LITTLE)
        before = measured.tokens(_difference(more, states))
        with_more, states = turned(more), turned(states)
        after = measured.tokens(_difference(with_more, states))
        found = [
            each * float(y.mean() / x.mean())
            for each, x, y in zip(found, before, after, strict=True)
        ]
    return [math.pow(each, 1 / turns) for each in found]


def _difference(states: States, others: States) -> States:
    return tuple(x - y if x.is_floating_point() else x for x, y in zip(states, others, strict=True))


def _times(states: States, factor: float) -> States:
    return tuple(s * factor if s.is_floating_point() else s for s in states)


def _reached(
    deeper: Deeper, feed: Mapping[str, Tensor], trained: Collection[str], measured: Measured
) -> list[float | None]:
    """By what turns lengthen the states more as weights grow, from states as they are."""
    last, _ = deeper.turn(feed)

    def lengths_at(factor: float, names: Iterable[str]) -> list[float]:
        larger = {name: feed[name] * factor for name in names if feed[name].is_floating_point()}
        _, turned = deeper.turn({**feed, **larger})
        states = last
        for _ in range(deeper.turns):
            states = turned(states)
        return [float(tokens.mean()) for tokens in measured.tokens(states)]

    def reached(names: Iterable[str]) -> list[float]:
        pairs = zip(*(lengths_at(factor, names) for factor in _WEIGHTS), strict=True)
        return [after / before if before > 0 else math.nan for before, after in pairs]

    largest = reached(trained)
    for name in trained:
        if not any(found <= BOUNDED_REACH for found in largest):
            break
        # All together may shut a gate before what is written; one by one they do not.
        largest = list(map(_larger, largest, reached([name])))
    return [found if math.isfinite(found) else None for found in largest]


def _larger(x: float, y: float) -> float:
    """The larger of two numbers; NaN where one is."""
    return math.nan if math.isnan(x) or math.isnan(y) else max(x, y)


def _rate(path: Sequence[float], last: int) -> float | None:
    """Return the factor a turn: over the last turns, or over those that the length lasts for."""
    first = path[0]
    if not 0 < first < math.inf or math.isnan(path[-1]):
        return None
    gone = next((turn for turn, length in enumerate(path) if length <= _GONE * first), None)
    if gone is not None:
        return math.pow(path[gone] / first, 1 / gone)
    before, after = path[-1 - last], path[-1]
    return math.inf if after == math.inf else math.pow(after / before, 1 / last)
