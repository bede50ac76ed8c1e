"""Find arguments by trying: whatever lets the program run further is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

from scaleaudit.capture.discovery.bench import Outcome
from scaleaudit.capture.discovery.leaves import BATCH, LENGTH, SIDE, Fields, Slot
from scaleaudit.capture.discovery.limits import Budget
from scaleaudit.capture.discovery.measures import Measures
from scaleaudit.capture.discovery.menus import entry

_BATCH_SIZE = 2
# How many choices of each of two arguments are tried against each other.
_PAIRED = 12
# How often a call that fakes accept may fail on real tensors before the first is taken.
_MOST_CHECKS = 100


@dataclass(slots=True)
class Number:
    """A size to choose."""

    values: tuple[int, ...]
    choice: int = 0

    @property
    def value(self) -> int:
        """What is chosen."""
        return self.values[self.choice]

    @property
    def count(self) -> int:
        """How many choices there are."""
        return len(self.values)


class Coordinate(Protocol):
    """One choice of several."""

    choice: int

    @property
    def count(self) -> int:
        """How many choices there are."""


@dataclass(slots=True)
class Call:
    """A call whose arguments are being chosen."""

    slots: list[Slot]
    length: Number
    side: Number
    measures: Measures
    keywords: dict[str, Slot] = field(default_factory=dict)

    @classmethod
    def of(cls, slots: list[Slot], measures: Measures) -> Call:
        """Start with the likeliest sizes."""
        return cls(slots, Number(measures.lengths), Number(measures.sides), measures)

    @property
    def sizes(self) -> dict[str, int]:
        """What the symbols in shapes stand for."""
        return {BATCH: _BATCH_SIZE, LENGTH: self.length.value, SIDE: self.side.value}

    @property
    def texts(self) -> tuple[str, ...]:
        """The positional arguments as source."""
        return tuple(slot.text(self.sizes) for slot in self.slots)

    @property
    def named_texts(self) -> tuple[tuple[str, str], ...]:
        """The keyword arguments as source."""
        return tuple((name, slot.text(self.sizes)) for name, slot in self.keywords.items())

    def leaves(self) -> Iterator[Slot]:
        """Yield every slot that is in use."""
        for slot in (*self.slots, *self.keywords.values()):
            yield from slot.inner()

    def coordinates(self) -> list[Coordinate]:
        """Return what can be chosen now; sizes only where a shape has them."""
        slots: list[Coordinate] = list(self.leaves())
        return [*slots, self.length, self.side]

    def choices(self) -> list[tuple[Coordinate, int]]:
        """Return all choices made, to come back to."""
        return [(coordinate, coordinate.choice) for coordinate in self.coordinates()]

    def missing_key(self, error: BaseException | None) -> bool:
        """Add the entry that a program missed in a dict that it was given."""
        if not isinstance(error, KeyError) or not error.args or not isinstance(error.args[0], str):
            return False
        key = error.args[0]
        for slot in self.leaves():
            fields = slot.leaf
            if isinstance(fields, Fields) and fields.opening == "{" and key not in fields.entries:
                fields.entries[key] = entry(self.measures)
                return True
        return False


@dataclass(slots=True)
class Climb:
    """A search for arguments that a program runs to its end with.

    Attributes:
        attempt: Makes the call as it is chosen now.
        check: Makes a call that went well again, on real tensors.
        lenient: Whether a call that fakes alone accept is taken where there is no better.
    """

    call: Call
    attempt: Callable[[], Outcome]
    check: Callable[[], Outcome]
    budget: Budget
    lenient: bool = True
    _tried: dict[tuple[str, ...], Outcome] = field(default_factory=dict)
    _fallback: tuple[Outcome, list[tuple[Coordinate, int]]] | None = None
    _checks: int = 0

    def run(self) -> Outcome:
        """Search; the outcome of the best call, whose choices are left in place."""
        best = self._try()
        while not (best.works or self.budget.spent):
            if self.call.missing_key(best.error):
                best = self._try()
                continue
            better = self._step(best)
            if better.progress <= best.progress and not better.works:
                better = self._pairs(best)
                if better.progress <= best.progress and not better.works:
                    break
            best = better
        if self.lenient and not best.works and self._fallback is not None:
            best, choices = self._fallback
            for coordinate, choice in choices:
                coordinate.choice = choice
        return best

    def _step(self, best: Outcome) -> Outcome:
        """Try every choice of every coordinate, keeping what comes furthest."""
        for coordinate in self.call.coordinates():
            kept = coordinate.choice
            for choice in range(coordinate.count):
                coordinate.choice = choice
                outcome = self._try()
                if outcome.works:
                    return outcome
                if outcome.progress > best.progress:
                    best, kept = outcome, choice
            coordinate.choice = kept
        return best

    def _pairs(self, best: Outcome) -> Outcome:
        """Try pairs of choices: an argument may only be read once another fits it."""
        coordinates = self.call.coordinates()
        for i, first in enumerate(coordinates):
            for second in coordinates[i + 1 :]:
                kept = first.choice, second.choice
                counts = (min(first.count, _PAIRED), min(second.count, _PAIRED))
                for choices in product(range(counts[0]), range(counts[1])):
                    first.choice, second.choice = choices
                    outcome = self._try()
                    if outcome.works or outcome.progress > best.progress:
                        return outcome
                    if self.budget.spent:
                        break
                first.choice, second.choice = kept
        return best

    def _try(self) -> Outcome:
        """Make the call, unless the very same one was made."""
        key = (*self.call.texts, *(text for pair in self.call.named_texts for text in pair))
        if key in self._tried:
            return self._tried[key]
        if self.budget.spent:
            return Outcome(-1, TimeoutError("enough was tried"))
        outcome = self.attempt()
        if outcome.works:
            outcome = self._checked(outcome)
        self._tried[key] = outcome
        return outcome

    def _checked(self, outcome: Outcome) -> Outcome:
        """Let fakes have the last word only where nothing holds on real tensors."""
        if self._fallback is None:
            self._fallback = (outcome, self.call.choices())
        if self._checks >= _MOST_CHECKS:
            return Outcome(outcome.progress, ValueError("it was not checked on real tensors"))
        self._checks += 1
        real = self.check()
        if real.works:
            return outcome
        return Outcome(outcome.progress + real.progress, real.error)
