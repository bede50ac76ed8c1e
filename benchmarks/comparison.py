"""What changed from an earlier run: where the spreads of two runs do not meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.results import Line, Measure, Result, Spread


@dataclass(frozen=True, slots=True)
class Change:
    """A number of a line in two runs.

    Attributes:
        is_ratio: Whether the numbers are ratios to the base line.
    """

    section: str
    line: str
    measure: Measure
    is_ratio: bool
    before: Spread
    now: Spread

    @property
    def is_beyond_the_spread(self) -> bool:
        """Whether no sample of one run lies among those of the other."""
        return self.now.is_apart_from(self.before)

    @property
    def factor(self) -> float:
        """How many times the earlier number the present one is."""
        return self.now.median / self.before.median


def compare(result: Result, earlier: Mapping[str, Result]) -> tuple[Change, ...]:
    """Return the numbers of a section that two runs have in common."""
    before = earlier.get(result.section)
    return () if before is None else tuple(_changes(result, before))


def _changes(result: Result, before: Result) -> Iterator[Change]:
    for line in result.lines:
        old = before.find(line.name)
        for measure in line.samples:
            then = None if old is None else _number(before, old, measure)
            now = _number(result, line, measure)
            if then is not None and now is not None:
                yield Change(result.section, line.name, measure, bool(line.base), then, now)


def _number(result: Result, line: Line, measure: Measure) -> Spread | None:
    """A ratio says the same on a slower machine; a value is all that a base line has."""
    return result.ratio(line, measure) if line.base else result.value(line, measure)
