"""Takes samples: the rows of a section take turns, so that noise falls on all of them alike."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.accounting import CommandError
from benchmarks.commands import Row
from benchmarks.results import Line, Measure, Result
from benchmarks.sections import Section

# Told what is being measured.
Watch = Callable[[str], None]


def measure(section: Section, rounds: int, watch: Watch) -> Result:
    """Measure every row of a section once a round; one that fails is not tried again."""
    with tempfile.TemporaryDirectory(prefix="scaleaudit-benchmarks-") as folder:
        rows = section.rows(Path(folder))
        taken: dict[str, list[Mapping[Measure, float]]] = {row.name: [] for row in rows}
        failures: dict[str, str] = {}
        turns = [(0, row) for row in rows[: section.warm_up]]
        turns += [(number, row) for number in range(1, rounds + 1) for row in rows]
        for number, row in turns:
            if row.name in failures:
                continue
            watch(f"{section.name}: {row.name}, {_spelt(number, rounds)}")
            try:
                sample = row.sample()
            except CommandError as error:
                failures[row.name] = str(error)
            else:
                if number:
                    taken[row.name].append(sample)
    lines = tuple(_line(row, taken[row.name], failures.get(row.name, "")) for row in rows)
    return Result(section.name, section.explanation, lines)


def _spelt(number: int, rounds: int) -> str:
    return f"round {number} of {rounds}" if number else "warming up"


def _line(row: Row, taken: list[Mapping[Measure, float]], failure: str) -> Line:
    measures = taken[0].keys() if taken else ()
    samples = {measure: tuple(each[measure] for each in taken) for measure in measures}
    return Line(row.name, row.base, row.aims, samples, failure)
