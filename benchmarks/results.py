"""What was measured: samples in rounds, their medians and spreads, and ratios between lines."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

# Numbers of which a least and a greatest say something.
_FEWEST = 3


class Measure(Enum):
    """A quantity that is measured; its value names it in files."""

    CPU = "cpu_seconds"
    WALL = "wall_seconds"
    LARGEST = "largest_process_bytes"
    TOGETHER = "all_processes_bytes"
    SPEED = "operators_per_cpu_second"
    PACE = "tokens_per_second"
    UTILISATION = "share_of_matrix_products"
    MAIN_THREAD = "main_thread_seconds"
    PAGE = "page_bytes"
    NODES = "document_nodes"


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some numbers and how far they reach."""

    median: float
    low: float
    high: float
    count: int

    def is_apart_from(self, other: Spread) -> bool:
        """Whether no number of one lies within the reach of the other; few have no reach."""
        enough = min(self.count, other.count) >= _FEWEST
        return enough and (self.high < other.low or other.high < self.low)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a line should come to: its ratio to its base line, or its value where there is none.

    Attributes:
        at_least: Whether the limit is one from below.
        inverse: Whether the base line over this one is meant: how many times faster it is.
        absolute: Whether the value is meant though there is a base line.
    """

    measure: Measure
    limit: float
    at_least: bool = False
    inverse: bool = False
    absolute: bool = False

    def is_met_by(self, number: float) -> bool:
        """Whether a number is within the limit."""
        return number >= self.limit if self.at_least else number <= self.limit


@dataclass(frozen=True, slots=True)
class Line:
    """One thing measured in every round.

    Attributes:
        base: The line of the same section that its ratios are to; empty for none.
        samples: For every measure, a number a round.
        failure: Why it could not be measured.
    """

    name: str
    base: str = ""
    aims: tuple[Aim, ...] = ()
    samples: Mapping[Measure, tuple[float, ...]] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The lines of one section.

    Attributes:
        explanation: What is measured, and what ratios are to.
    """

    section: str
    explanation: str
    lines: tuple[Line, ...]

    def value(self, line: Line, measure: Measure) -> Spread | None:
        """Return what was measured of a line."""
        samples = line.samples.get(measure)
        return spread(samples) if samples else None

    def ratio(self, line: Line, measure: Measure) -> Spread | None:
        """Return how many times its base line a line comes to, compared round by round."""
        return self._ratio(line.name, line.base, measure)

    def judged(self, line: Line, aim: Aim) -> Spread | None:
        """Return the number that an aim is about."""
        if not line.base or aim.absolute:
            return self.value(line, aim.measure)
        if aim.inverse:
            return self._ratio(line.base, line.name, aim.measure)
        return self.ratio(line, aim.measure)

    def find(self, name: str) -> Line | None:
        """Return the line of a name."""
        return next((line for line in self.lines if line.name == name), None)

    def _ratio(self, name: str, base: str, measure: Measure) -> Spread | None:
        over, under = self.find(name), self.find(base)
        if over is None or under is None:
            return None
        pairs = zip(over.samples.get(measure, ()), under.samples.get(measure, ()), strict=False)
        ratios = [one / other for one, other in pairs if other]
        return spread(ratios) if ratios else None


def spread(numbers: Sequence[float]) -> Spread:
    """Return the median of some numbers, with the least and the greatest."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers), len(numbers))
