"""Stretches of a program that repeat: turns of a long loop that differ in nothing but their number.

A loop of 256 turns says no more than one of a few: turns in the middle run the same operators on
what the turn before made, and all that comes after reads them alike. Such turns are left out, and
the last one before the gap stands for them. The first and last turns of a stretch stay, so that
what is special about them is seen.

Works on numbers alone: a program is a list of units, each with a key (unequal ones never do the
same) and with the units that it reads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import eq
from typing import Protocol, TypeAlias

# Turns of a stretch that stay before and behind the gap, and turns that are worth leaving out.
# With two at either end no fact of the zoo's loops of 12 turns differs from that of the whole.
FRONT = 2
BACK = 2
WORTHWHILE = 2
LEAST = FRONT + BACK + WORTHWHILE
# How many lengths of a turn are tried, likely ones first.
_GUESSES = 12

# What is read: a unit, or a leaf (a negative number); which of its outputs; and in which operand.
Source: TypeAlias = tuple[int, Hashable, Hashable]


class Program(Protocol):
    """A program as units in order; what is read has a smaller number than who reads it."""

    @property
    def keys(self) -> Sequence[int]:
        """Numbers of the units; those with unequal ones differ in what they do."""

    @property
    def results(self) -> Collection[int]:
        """Units whose values are results of the program."""

    def sources(self, unit: int) -> tuple[Source, ...]:
        """Return what a unit reads."""

    def are_alike(self, unit: int, other: int) -> bool:
        """Tell whether units of equal keys do the same, whatever they read."""

    def is_of_one_kind(self, unit: int) -> bool:
        """Tell whether to the analysis any part of a value is as good as another."""

    def shared(self, unit: int) -> int:
        """Return how many running frames a unit has in common with the one before it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Units ``start`` to ``stop`` that repeat with a period."""

    start: int
    stop: int
    period: int

    @property
    def turns(self) -> int:
        """How many whole turns there are."""
        return (self.stop - self.start) // self.period

    def __contains__(self, unit: int) -> bool:
        return self.start <= unit < self.stop


@dataclass(frozen=True, slots=True)
class Cut:
    """Units ``start`` to ``stop`` that are left out of a run: whole turns."""

    start: int
    stop: int
    run: Run

    @property
    def size(self) -> int:
        """How many units are left out."""
        return self.stop - self.start

    @property
    def times(self) -> int:
        """How many turns the one before the gap stands for, itself included."""
        return self.size // self.run.period + 1


@dataclass(frozen=True)
class Plan:
    """Which units of a program stay.

    Attributes:
        cuts: In order, apart from each other.
        together: For every cut those of runs that go over the same turns, itself included.
    """

    cuts: tuple[Cut, ...]
    together: dict[Cut, frozenset[Cut]]

    @cached_property
    def _starts(self) -> list[int]:
        return [cut.start for cut in self.cuts]

    def stays(self, unit: int) -> bool:
        """Tell whether a unit is kept."""
        return self._cut(unit) is None

    def instead(self, unit: int, reader: int | None = None) -> int:
        """Return what is read in the place of a unit that may be left out.

        Args:
            reader: The unit that reads it. What goes on behind the gap reads what the turns before
                the gap made, as if they had been the last, and what looks ahead before the gap
                reads the turns behind it. To all others one turn is like another.
        """
        cut = self._cut(unit)
        if cut is None:
            return unit
        own = None if reader is None else self._cut_of_run(reader)
        if reader is not None and own in self.together[cut]:
            assert own is not None
            return unit - cut.size if reader >= own.stop else unit + cut.size
        period = cut.run.period
        return cut.start - period + (unit - cut.start) % period

    def _cut(self, unit: int) -> Cut | None:
        index = bisect_right(self._starts, unit) - 1
        if index < 0 or unit >= self.cuts[index].stop:
            return None
        return self.cuts[index]

    def _cut_of_run(self, unit: int) -> Cut | None:
        return next((cut for cut in self.cuts if unit in cut.run), None)


NOTHING = Plan((), {})


def plan(program: Program) -> Plan:
    """Choose the turns to leave out."""
    runs = _runs(program)
    if not runs:
        return NOTHING
    users = _users(program)
    spare = {run: _spare(run, runs, users, program.results) for run in runs}
    together: dict[Cut, frozenset[Cut]] = {}
    for group in _groups(runs, _links(program, runs)):
        cuts = frozenset(_cuts(group, spare))
        together.update(dict.fromkeys(cuts, cuts))
    return Plan(tuple(sorted(together, key=lambda cut: cut.start)), together)


def _runs(program: Program) -> list[Run]:
    """Find stretches that repeat, short periods first; none overlaps another.

    A second loop that goes over what the first one collected reads one more of its turns at every
    turn: once the first is found, so is the second.
    """
    found: list[Run] = []
    guesses = _guesses(program.keys)
    while True:
        fresh = [
            run for period in guesses for run in _apart(_with_period(program, period, found), found)
        ]
        if not fresh:
            return found


def _apart(candidates: Iterator[Run], found: list[Run]) -> Iterator[Run]:
    """Take those that overlap no other, and add them to what is found."""
    for run in candidates:
        if all(run.stop <= other.start or other.stop <= run.start for other in found):
            found.append(run)
            yield run


def _guesses(keys: Sequence[int]) -> list[int]:
    """Return distances at which equal units follow each other often enough."""
    last: dict[int, int] = {}
    gaps: Counter[int] = Counter()
    for index, key in enumerate(keys):
        if key in last:
            gaps[index - last[key]] += 1
        last[key] = index
    likely = [gap for gap, count in gaps.most_common(_GUESSES) if count >= LEAST - 1]
    return sorted(likely)


def _with_period(program: Program, period: int, found: list[Run]) -> Iterator[Run]:
    """Yield the stretches in which every unit does what the one a period before it did."""
    keys = program.keys
    for first, last in _stretches(keys, period):
        agree = (_repeats(program, index, period, found) for index in range(first, last))
        for start, stop in _true(agree, first):
            if (stop - start) // period + 1 >= LEAST:
                run = Run(_seam(program, start - period, period), stop, period)
                if run.turns >= LEAST:
                    yield run


def _stretches(keys: Sequence[int], period: int) -> Iterator[tuple[int, int]]:
    """Yield long stretches in which the keys are those of a period before."""
    equal = map(eq, islice(keys, period, None), keys)
    return ((a, b) for a, b in _true(equal, period) if (b - a) // period + 1 >= LEAST)


def _true(answers: Iterable[bool], first: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of yes in a row; the first answer is that for ``first``."""
    start: int | None = None
    index = first
    for answer in answers:
        if answer:
            start = index if start is None else start
        elif start is not None:
            yield start, index
            start = None
        index += 1
    if start is not None:
        yield start, index


def _seam(program: Program, start: int, period: int) -> int:
    """Return where a turn can be parted from the next: where the fewest calls are under way."""
    return min(range(start, start + period), key=program.shared)


def _repeats(program: Program, index: int, period: int, found: list[Run]) -> bool:
    """Tell whether a unit does what the one a period before did, on what came a period later."""
    earlier = index - period
    if program.keys[index] != program.keys[earlier]:
        return False
    mine, before = program.sources(index), program.sources(earlier)
    return (
        len(mine) == len(before)
        and all(_follows(program, *pair, period, found) for pair in zip(mine, before, strict=True))
        and program.are_alike(index, earlier)
    )


def _follows(
    program: Program, source: Source, before: Source, period: int, found: list[Run]
) -> bool:
    (one, output, _), (other, output_before, _) = source, before
    step = one - other
    if not step:
        return output == output_before or (one >= 0 and program.is_of_one_kind(one))
    if output != output_before or one < 0 or other < 0:
        return False
    return step == period or any(
        step == run.period and one in run and other in run for run in found
    )


def _users(program: Program) -> list[list[tuple[int, Hashable]]]:
    """Return for every unit who reads it, in which operand."""
    users: list[list[tuple[int, Hashable]]] = [[] for _ in program.keys]
    for index in range(len(program.keys)):
        for source, _, operand in program.sources(index):
            if source >= 0:
                users[source].append((index, operand))
    return users


@dataclass(frozen=True, slots=True)
class _Spare:
    """Turns of a run that may be left out.

    Attributes:
        memory: How many turns back values are read.
    """

    turns: range
    memory: int


def _spare(
    run: Run, runs: list[Run], users: list[list[tuple[int, Hashable]]], results: Collection[int]
) -> _Spare:
    """Return the turns of a run that may be left out: read alike from outside, at neither end."""
    turns = [_readers(run, turn, runs, users, results) for turn in range(run.turns)]
    first, last = _longest(turns)
    memory = _memory(run, users)
    return _Spare(range(first + max(FRONT, memory + 1), last - BACK), memory)


def _links(program: Program, runs: list[Run]) -> dict[tuple[Run, Run], int]:
    """Return for a run that goes over the turns of another by how many turns it is ahead."""
    found: dict[tuple[Run, Run], int] = {}
    for run in runs:
        for index in range(run.start, run.stop - run.period):
            now, later = program.sources(index), program.sources(index + run.period)
            for (source, _, _), (next_source, _, _) in zip(now, later, strict=True):
                if source == next_source or source in run:
                    continue
                other = next((r for r in runs if source in r and next_source in r), None)
                if other is not None:
                    turn = (index - run.start) // run.period
                    ahead = (source - other.start) // other.period - turn
                    found[run, other] = min(ahead, found.get((run, other), ahead))
    return found


def _groups(runs: list[Run], links: dict[tuple[Run, Run], int]) -> Iterator[dict[Run, int]]:
    """Yield runs that go over the same turns, each with its first turn as the others count."""
    left = list(runs)
    while left:
        group = {left.pop(): 0}
        pending = list(group)
        while pending:
            run = pending.pop()
            for (reader, read), ahead in links.items():
                if reader is run and read in left:
                    group[read] = group[run] - ahead
                elif read is run and reader in left:
                    group[reader] = group[run] + ahead
                else:
                    continue
                other = read if reader is run else reader
                left.remove(other)
                pending.append(other)
        yield group


def _cuts(group: dict[Run, int], spare: dict[Run, _Spare]) -> Iterator[Cut]:
    """Leave the same turns out of all runs of a group."""
    first = max(spare[run].turns.start + offset for run, offset in group.items())
    last = min(spare[run].turns.stop + offset for run, offset in group.items())
    # What goes on behind the gap must not look back beyond it.
    if last - first < max(WORTHWHILE, *(spare[run].memory for run in group)):
        return
    for run, offset in group.items():
        start = run.start + (first - offset) * run.period
        yield Cut(start, start + (last - first) * run.period, run)


def _readers(
    run: Run,
    turn: int,
    runs: list[Run],
    users: list[list[tuple[int, Hashable]]],
    results: Collection[int],
) -> Hashable:
    """Describe who reads the values of one turn after the run."""
    start = run.start + turn * run.period
    found = []
    for unit in range(start, start + run.period):
        readers = {_seen(user, runs, operand) for user, operand in users[unit] if user >= run.stop}
        found.append((frozenset(readers), unit in results))
    return tuple(found)


def _seen(user: int, runs: list[Run], operand: Hashable) -> Hashable:
    """Describe a reader; one that is in another run by its place in the turn."""
    other = next((run for run in runs if user in run), None)
    return (
        (user, operand) if other is None else (other, (user - other.start) % other.period, operand)
    )


def _longest(turns: list[Hashable]) -> tuple[int, int]:
    """Return the longest stretch of equal turns, as a range."""
    best = start = 0, 0
    begin = 0
    for index in range(1, len(turns) + 1):
        if index == len(turns) or turns[index] != turns[begin]:
            start = begin, index
            best = start if start[1] - start[0] > best[1] - best[0] else best
            begin = index
    return best


def _memory(run: Run, users: list[list[tuple[int, Hashable]]]) -> int:
    """Return over how many turns values are read within a run, once it is under way."""
    second = run.start + run.period
    furthest = 0
    for unit in range(second, second + run.period):
        later = [user for user, _ in users[unit] if user in run]
        if later:
            furthest = max(furthest, (max(later) - run.start) // run.period - 1)
    return furthest
