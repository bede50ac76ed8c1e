"""Measure what scaleaudit costs: ``python -m benchmarks``, from the repository's root.

Numbers are told as ratios of commands that took turns in the same run. What they are called
and how to read them stands in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from benchmarks.comparison import compare
from benchmarks.files import FileError, machine, read, write
from benchmarks.results import Result
from benchmarks.running import measure
from benchmarks.sections import SECTIONS
from benchmarks.tables import change_table, result_table

ROOT = Path(__file__).resolve().parent.parent
_NAMES = tuple(section.name for section in SECTIONS)
_ROUNDS = 5
# Tables for files and pipes are as wide as they need.
_WIDE = 200


def main() -> int:
    """Measure, print and write; the exit code is 1 only where something could not be measured."""
    # As for users: what was loaded once is there as byte code the next time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    asked = _arguments()
    earlier = _earlier(asked.against)
    out = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    err = Console(stderr=True)
    where = asked.json and asked.json.resolve()
    os.chdir(ROOT)
    out.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    results: list[Result] = []
    for section in SECTIONS:
        if section.name in (asked.only or _NAMES):
            with err.status(section.name) as status:
                results.append(measure(section, asked.rounds, status.update))
            _show(out, results[-1], earlier)
            if where:
                write(where, results)
    return int(any(line.failure for result in results for line in result.lines))


def _show(out: Console, result: Result, earlier: Mapping[str, Result]) -> None:
    out.print(result_table(result))
    out.print(f"{result.explanation}\n")
    changes = compare(result, earlier)
    if changes:
        out.print(change_table(changes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=_NAMES, help="sections to measure")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="samples of every line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with such a file")
    return parser.parse_args()


def _earlier(file: Path | None) -> dict[str, Result]:
    try:
        return {} if file is None else read(file)
    except FileError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    sys.exit(main())
