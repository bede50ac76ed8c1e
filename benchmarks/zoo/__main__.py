"""Sweep the architectures of transformers: ``python -m benchmarks.zoo``, from the repository's root.

Every architecture is built small, run once on real tensors, and audited with its own loss. A
sweep that was stopped goes on where it was, given the same file. See docs/zoo.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from benchmarks.lines import RecordError, append_lines
from benchmarks.zoo.architectures import KINDS, Architecture, architectures_of
from benchmarks.zoo.comparing import compare
from benchmarks.zoo.explanations import UnexplainedError, read_explanations
from benchmarks.zoo.page import ordered, to_page
from benchmarks.zoo.records import Record, Status, read_records
from benchmarks.zoo.sweeping import mappings, sweep

_HERE = Path(__file__).parent
_HINTS, _EXPLANATIONS = _HERE / "hints.toml", _HERE / "loops.toml"
_FAILED, _UNKNOWN, _ALL = "failed", "unknown", "all"
# How much of a reason a line of progress shows.
_REASON = 150


def main() -> int:
    """Sweep, compare and write the page, as asked; the exit code is 1 where the page cannot be."""
    asked = _arguments()
    if find_spec("transformers") is None:
        sys.exit(
            "the zoo takes the package transformers: pip install -e '.[zoo]' -c constraints.txt"
        )
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        before = read_records(asked.against) if asked.against else None
        if not asked.no_sweep:
            _sweep(asked, err)
        records = read_records(asked.json)
        if before is not None:
            for change in compare(records, before):
                print(change)
        counts = Counter(r.verdict or r.status.value for r in records.values())
        print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
        if asked.page:
            explanations = read_explanations(_EXPLANATIONS)
            page = to_page(ordered(records), explanations, version("transformers"))
            asked.page.write_text(page, encoding="utf-8")
    except (RecordError, UnexplainedError) as error:
        err.print(str(error), markup=False)
        return 1
    return 0


def _sweep(asked: argparse.Namespace, err: Console) -> None:
    known = read_records(asked.json)
    wanted = wanted_of(architectures_of(mappings()), asked, known)
    hints = tomllib.loads(_HINTS.read_text(encoding="utf-8"))
    started, done = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for record in sweep(wanted, folder, hints, asked.jobs):
            append_lines(asked.json, (record,))
            done += 1
            outcome = f"{record.verdict or record.status.value} {record.reason[:_REASON]}".strip()
            minutes = (time.monotonic() - started) / 60
            place = f"{done} of {len(wanted)}, {minutes:.0f} min"
            err.print(f"{place}: {record.class_name}: {outcome}", markup=False)


def wanted_of(
    architectures: Sequence[Architecture], asked: argparse.Namespace, known: Mapping[str, Record]
) -> tuple[Architecture, ...]:
    """Return what is to be swept: what fits, and is not known or is to be tried again."""
    return tuple(
        architecture
        for architecture in architectures
        if (not asked.kind or architecture.kind in asked.kind)
        and (not asked.only or architecture.fits(asked.only))
        and _is_due(known.get(architecture.class_name), asked.retry)
    )


def _is_due(record: Record | None, retry: Sequence[str]) -> bool:
    if record is None or _ALL in retry:
        return True
    if record.status is not Status.AUDITED:
        return _FAILED in retry
    return record.verdict == "unknown" and _UNKNOWN in retry


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", required=True, help="the records, a line each")
    add("--only", nargs="+", metavar="PATTERN", help="classes or types of models, as *albert*")
    add("--kind", nargs="+", choices=tuple(KINDS), help="what the models are for")
    add("--retry", nargs="+", choices=(_FAILED, _UNKNOWN, _ALL), default=(), help="do again")
    add("--jobs", type=int, default=2, help="processes at a time, one of them building (2)")
    add("--keep", type=Path, metavar="DIR", help="keep the target files there")
    add("--against", type=Path, metavar="FILE", help="say what changed from an earlier sweep")
    add("--page", type=Path, metavar="FILE", help="write the results as Markdown")
    add("--no-sweep", action="store_true", help="only compare, or write the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
