"""States that feed each other: the spectral radius of their gains over one period of the loop.

States are updated one after the other, each from the present values of the others or from older
ones of its own. An update is a matrix that puts one row in the place of another; a period of the
loop is the product of its updates (with ages of a state as states of their own, the companion
form), and its spectral radius is what the period multiplies lengths by in the long run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import NONNEGATIVE, Atom, Interval, Scale
from scaleaudit.scale import forms, intervals

# A state and how many of its values are newer: 0 for the present one.
Aged = tuple[int, int]
_Matrix = list[list[float]]


@dataclass(frozen=True, slots=True)
class Update:
    """A new value of a state, and the gains from the values that it is made of.

    Attributes:
        total: What the magnitudes of all of them add up to.
        signed: Whether the gains are exact numbers, signs included; else they are magnitudes.
    """

    state: int
    gains: Mapping[Aged, Interval]
    total: Interval = NONNEGATIVE
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Cycle:
    """States that feed each other, and the spectral radius of their gains (lowest, highest).

    Attributes:
        delayed: Whether older values than the last take part.
    """

    states: frozenset[int]
    gain: Interval
    delayed: bool = False


def find_cycle(updates: Sequence[Update], state: int) -> Cycle:
    """Return the cycle of a state, and the gain of one of its turns.

    Args:
        updates: Those of one period of the loop, in order.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from({state, *(update.state for update in updates)})
    for update in updates:
        graph.add_edges_from((source, update.state) for source, _ in update.gains)
    states = next(c for c in nx.strongly_connected_components(graph) if state in c)
    inside = [_restricted(update, states) for update in updates if update.state in states]
    turns = max(1, sum(update.state == state for update in inside))
    signed = all(update.signed for update in inside)
    low = _radius(inside, signed=signed, upper=False) ** (1 / turns)
    high = _radius(inside, signed=signed, upper=True) ** (1 / turns)
    gains = [gain for update in inside for gain in update.gains.values()]
    is_open = any(gain.high_open for gain in gains)
    # No row of an update sums to more than its total, and what is kept has a row of one.
    most = math.prod(max(1.0, update.total.high) for update in inside) ** (1 / turns)
    if most < high:
        high, is_open = most, any(update.total.high_open for update in inside)
    low = min(low, high)
    delayed = any(age for update in inside for _, age in update.gains)
    gain = Interval(round(low, 6), round(high, 6), high_open=is_open)
    return Cycle(frozenset(states), gain, delayed)


def _restricted(update: Update, states: Iterable[int]) -> Update:
    chosen = {aged: gain for aged, gain in update.gains.items() if aged[0] in states}
    return Update(update.state, chosen, update.total, update.signed)


def _radius(updates: list[Update], *, signed: bool, upper: bool) -> float:
    """Spectral radius of one period."""
    used = {aged for update in updates for aged in update.gains}
    depth = {update.state: 0 for update in updates}
    for source, age in used:
        depth[source] = max(depth.get(source, 0), age)
    slots = [(source, age) for source in sorted(depth) for age in range(depth[source] + 1)]
    place = {slot: position for position, slot in enumerate(slots)}
    period = _identity(len(slots))
    for update in updates:
        step = _identity(len(slots))
        for age in range(depth[update.state], 0, -1):
            step[place[update.state, age]] = _row(len(slots), {place[update.state, age - 1]: 1.0})
        row = {
            place[aged]: _end(gain, signed=signed, upper=upper)
            for aged, gain in update.gains.items()
        }
        step[place[update.state, 0]] = _row(len(slots), row)
        period = _product(step, period)
    return spectral_radius(period)


def _end(gain: Interval, *, signed: bool, upper: bool) -> float:
    if signed:
        return gain.low
    magnitude = intervals.even(gain, abs)
    return magnitude.high if upper else magnitude.low


def _identity(size: int) -> _Matrix:
    return [_row(size, {position: 1.0}) for position in range(size)]


def _row(size: int, entries: Mapping[int, float]) -> list[float]:
    return [entries.get(position, 0.0) for position in range(size)]


def _product(x: _Matrix, y: _Matrix) -> _Matrix:
    """Multiply; nothing times infinity is nothing, since it is no path at all."""
    columns = list(zip(*y, strict=True))
    return [
        [sum(a * b for a, b in zip(row, c, strict=True) if a and b) for c in columns] for row in x
    ]


# The 2**30th power shows the spectral radius to six digits, Jordan blocks included.
SQUARINGS = 30


def spectral_radius(matrix: _Matrix) -> float:
    """Spectral radius of a square matrix, by Gelfand's formula."""
    if any(math.isinf(entry) for row in matrix for entry in row):
        return math.inf
    growth_log, product = 0.0, matrix
    for _ in range(SQUARINGS):
        product = _product(product, product)
        norm = max(sum(map(abs, row)) for row in product)
        if norm == 0:
            return 0.0
        product = [[entry / norm for entry in row] for row in product]
        growth_log = 2 * growth_log + math.log(norm)
    return round(math.exp(growth_log / 2**SQUARINGS), 6)


def update_of(
    state: int,
    made: Ref,
    scale: Scale,
    boundaries: Sequence[Sequence[Ref]],
    seeds: Mapping[Atom, Ref],
) -> Update:
    """Read the update that makes one boundary value from its linear form.

    Args:
        boundaries: For every state its values, in order.
        seeds: For the atom of every boundary value, that value.
    """
    parts: dict[Aged, list[Interval]] = {}
    signed = True
    for atom, poly in scale.form.parts.items():
        if atom.state is None:
            continue
        ref = seeds[atom.base]
        newer = sum(ref.node < other.node < made.node for other in boundaries[atom.state])
        span = forms.poly_span(poly)
        # Rearranged or mixed copies of a state don't cancel each other, whatever their signs.
        signed = signed and span.is_point and not atom.layout
        signed = signed and not forms.mixings_of([poly])
        parts.setdefault((atom.state, newer), []).append(span)
    gains = {
        aged: _total(spans if signed else [intervals.even(span, abs) for span in spans])
        for aged, spans in parts.items()
    }
    polys = [poly for atom, poly in scale.form.parts.items() if atom.state is not None]
    return Update(state, gains, forms.total_span(polys) if polys else intervals.point(0.0), signed)


def period_of(boundaries: Sequence[Sequence[Ref]], states: Iterable[int]) -> list[tuple[int, Ref]]:
    """Return the updates of some states, in order, between the last two of the slowest one."""
    ends = {state: boundaries[state] for state in states}
    slowest = min(ends.values(), key=lambda refs: (len(refs), -refs[-1].node))
    start = slowest[-2].node if len(slowest) > 1 else -1
    made = [(state, ref) for state, refs in ends.items() for ref in refs]
    inside = [each for each in made if start < each[1].node <= slowest[-1].node]
    return sorted(inside, key=lambda each: (each[1].node, each[1].output))


def _total(spans: list[Interval]) -> Interval:
    total = intervals.point(0.0)
    for span in spans:
        total = intervals.add(total, span)
    return total
