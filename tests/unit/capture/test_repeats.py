"""Turns of long loops that say nothing new are left out, and what stays is the same program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.capture.repeats import BACK, FRONT, LEAST, NOTHING, Plan, Source, plan


@dataclass
class Units:
    """A program of units that do what their keys say."""

    keys: list[int] = field(default_factory=list)
    results: set[int] = field(default_factory=set)
    reads: list[tuple[int, ...]] = field(default_factory=list)
    kinds: dict[int, object] = field(default_factory=dict)

    def add(self, key: int, *reads: int, kind: object = None) -> int:
        """Add a unit, and return its number."""
        self.keys.append(key)
        self.reads.append(reads)
        self.kinds[len(self.keys) - 1] = kind
        return len(self.keys) - 1

    def sources(self, unit: int) -> tuple[Source, ...]:
        return tuple((source, (), i) for i, source in enumerate(self.reads[unit]))

    def are_alike(self, unit: int, other: int) -> bool:
        return self.kinds[unit] == self.kinds[other]

    def is_of_one_kind(self, unit: int) -> bool:
        return False

    def shared(self, unit: int) -> int:
        return 0


LEAF = -1
# Over how many turns drawn loops look back.
FURTHEST = 3


def looped(turns: int, *, size: int = 3, back: int = 1) -> Units:
    """Make a loop of ``size`` units a turn; the first reads the last of ``back`` turns before."""
    units = Units()
    start = units.add(0, LEAF)
    lasts = [start] * back
    for _ in range(turns):
        h = units.add(1, lasts[-1], lasts[-back])
        for key in range(2, size + 1):
            h = units.add(key, h)
        lasts.append(h)
    units.results = {units.add(size + 1, lasts[-1])}
    return units


def kept(units: Units, chosen: Plan) -> list[int]:
    return [unit for unit in range(len(units.keys)) if chosen.stays(unit)]


def written(units: Units, chosen: Plan) -> list[tuple[int, tuple[int, ...]]]:
    """Write what stays, the units numbered anew."""
    stays = kept(units, chosen)
    numbers = {unit: number for number, unit in enumerate(stays)}

    def reads(unit: int) -> Iterator[int]:
        for source in units.reads[unit]:
            yield source if source < 0 else numbers[chosen.instead(source, unit)]

    return [(units.keys[unit], tuple(reads(unit))) for unit in stays]


def whole(units: Units) -> list[tuple[int, tuple[int, ...]]]:
    return written(units, NOTHING)


def left_out(chosen: Plan) -> list[int]:
    return [cut.times - 1 for cut in chosen.cuts]


@pytest.mark.parametrize("turns", range(LEAST))
def test_short_loops_are_kept(turns: int) -> None:
    assert plan(looped(turns)) == NOTHING


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("turns", [12, 13, 64])
def test_long_loop_is_that_of_fewer_turns(turns: int, size: int) -> None:
    units = looped(turns, size=size)
    chosen = plan(units)
    (gone,) = left_out(chosen)
    assert turns - gone <= FRONT + BACK + 3
    assert written(units, chosen) == whole(looped(turns - gone, size=size))


def test_as_much_is_left_of_every_long_loop() -> None:
    assert len({len(kept(units, plan(units))) for units in map(looped, (12, 30, 100))}) == 1


def test_result_of_the_last_turn_is_read_as_that_of_the_last() -> None:
    units = looped(20)
    chosen = plan(units)
    (cut,) = chosen.cuts
    assert chosen.stays(cut.start - 1)
    assert chosen.stays(cut.stop)
    assert not chosen.stays(cut.start)
    assert not chosen.stays(cut.stop - 1)
    assert cut.size % cut.run.period == 0


@pytest.mark.parametrize("what", ["key", "kind", "reads", "result", "reader"])
def test_special_turn_in_the_middle_stays(what: str) -> None:
    units = looped(30)
    special = 1 + 3 * 15
    match what:
        case "key":
            units.keys[special + 1] = 99
        case "kind":
            units.kinds[special + 1] = "another"
        case "reads":
            units.reads[special + 1] = (0,)
        case "result":
            units.results.add(special + 2)
        case "reader":
            units.results.add(units.add(50, special + 1))
    assert all(map(plan(units).stays, range(special, special + 3)))


def test_both_sides_of_a_special_turn_may_be_shortened() -> None:
    units = looped(40)
    units.keys[1 + 3 * 20 + 1] = 99
    assert len(plan(units).cuts) == 2


def test_numbers_of_leaves_must_be_equal() -> None:
    units = Units()
    h = units.add(0, LEAF)
    for turn in range(30):
        h = units.add(1, h, LEAF - 1 - turn)
    units.results = {h}
    assert plan(units) == NOTHING


def test_no_program_has_no_turns_to_leave_out() -> None:
    assert plan(Units()) == NOTHING


def twice(turns: int, *, ahead: int = 0) -> Units:
    """Make a loop that collects, and a second one that goes over what was collected."""
    units = Units()
    h = units.add(0, LEAF)
    states = []
    for _ in range(turns):
        h = units.add(2, units.add(1, h))
        states.append(h)
    total = units.add(3, LEAF)
    for state in states[ahead:]:
        total = units.add(5, total, units.add(4, state))
    units.results = {total}
    return units


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_second_loop_over_the_turns_of_a_first_is_cut_at_the_same_turns(ahead: int) -> None:
    units = twice(24, ahead=ahead)
    chosen = plan(units)
    one, other = chosen.cuts
    assert one.times == other.times
    first, second = ((cut.start - cut.run.start) // cut.run.period for cut in (one, other))
    offset = (units.reads[other.run.start][0] - one.run.start) // one.run.period
    assert first == second + offset
    assert written(units, chosen) == whole(twice(24 - (one.times - 1), ahead=ahead))


def in_a_row(*turns: int) -> Units:
    """Make loops that follow each other, each of other units."""
    units = Units()
    h = units.add(0, LEAF)
    for loop, count in enumerate(turns):
        for _ in range(count):
            h = units.add(10 * loop + 2, units.add(10 * loop + 1, h))
    units.results = {h}
    return units


def test_loops_in_a_row_are_shortened_each() -> None:
    units = in_a_row(20, 3, 30)
    chosen = plan(units)
    first, last = left_out(chosen)
    assert written(units, chosen) == whole(in_a_row(20 - first, 3, 30 - last))


@dataclass(frozen=True)
class Body:
    """What a turn does: for every unit a key, and what it reads.

    Attributes:
        reads: Pairs of a position in a turn and how many turns before; of this turn, a position
            before the unit's own. Position -1 is what comes before the loop.
        shown: Positions whose last values are read after the loop.
    """

    reads: tuple[tuple[tuple[int, int], ...], ...]
    shown: tuple[int, ...]

    def program(self, turns: int) -> Units:
        units = Units()
        start = units.add(0, LEAF)
        made: list[list[int]] = []
        for turn in range(turns):
            made.append([])
            for position, reads in enumerate(self.reads):
                sources = (self._source(made, turn - back, at, start) for at, back in reads)
                made[turn].append(units.add(position + 1, *sources))
        units.results = {units.add(99, *(made[-1][position] for position in self.shown))}
        return units

    @staticmethod
    def _source(made: Sequence[list[int]], turn: int, position: int, start: int) -> int:
        return start if position < 0 or turn < 0 else made[turn][position]


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    size = draw(st.integers(1, 5))
    reads = []
    for position in range(size):
        back = st.tuples(st.integers(-1, size - 1), st.integers(1, FURTHEST))
        here = st.tuples(st.integers(0, position - 1), st.just(0)) if position else back
        reads.append(tuple(draw(st.lists(back | here, min_size=1, max_size=3))))
    shown = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=2))
    return Body(tuple(reads), tuple(shown))


@given(bodies(), st.integers(1, 40))
def test_any_loop_is_that_of_fewer_turns(body: Body, turns: int) -> None:
    units = body.program(turns)
    chosen = plan(units)
    gone = len(units.keys) - len(kept(units, chosen))
    assert gone % len(body.reads) == 0
    assert written(units, chosen) == whole(body.program(turns - gone // len(body.reads)))


def test_gap_is_as_wide_as_turns_look_back() -> None:
    body = Body(reads=(((0, 3),), ((0, 0),)), shown=(0,))
    units = body.program(16)
    chosen = plan(units)
    (gone,) = left_out(chosen)
    assert gone >= FURTHEST
    assert written(units, chosen) == whole(body.program(16 - gone))


@given(bodies(), st.integers(24, 60))
def test_what_is_left_does_not_grow(body: Body, turns: int) -> None:
    sizes = {len(kept(u, plan(u))) for u in (body.program(turns), body.program(turns + 10))}
    assert len(sizes) == 1


@given(bodies(), st.integers(12, 40))
def test_what_a_turn_reads_stays(body: Body, turns: int) -> None:
    units = body.program(turns)
    chosen = plan(units)
    for unit in kept(units, chosen):
        for source in units.reads[unit]:
            if source >= 0:
                instead = chosen.instead(source, unit)
                assert chosen.stays(instead)
                assert units.keys[instead] == units.keys[source]
                assert instead < unit
