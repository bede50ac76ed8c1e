"""Calibrate the probe: ``python -m benchmarks.calibration``, from the repository's root.

Models of which the truth is known are trained beside their twins, run by run. A calibration that was
stopped goes on where it was, given the same file. See docs/calibration.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks.calibration.cases import EXAMPLE, IDIOM, WIDTHS, families, wanted
from benchmarks.calibration.judging import outcome_of
from benchmarks.calibration.page import rates, to_page
from benchmarks.calibration.records import read_records
from benchmarks.calibration.sweeping import sweep
from benchmarks.lines import RecordError, append_lines
from scaleaudit.domain.probing import ProbeRequest

_SIZES = ("64", "32", "128", EXAMPLE, IDIOM)


def main() -> int:
    """Run what is asked for and not there yet, print the outcomes, write the page."""
    asked = _arguments()
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        if not asked.no_sweep:
            _sweep(asked, err)
        records = {
            record: found
            for path in (asked.json, *asked.also)
            for record, found in read_records(path).items()
        }
    except RecordError as error:
        err.print(str(error), markup=False)
        return 1
    print(rates(records))
    if asked.page:
        asked.page.write_text(to_page(records), encoding="utf-8")
    return 0


def _sweep(asked: argparse.Namespace, err: Console) -> None:
    known = read_records(asked.json)
    sizes = asked.size or (*_SIZES, *(("44m",) if asked.device != "cpu" else ()))
    cases = [case for case in wanted(families(sizes), asked.only) if case not in known]
    request = ProbeRequest(device=asked.device, steps=asked.steps, dtype=asked.dtype)
    began, swept = time.monotonic(), sweep(cases, request, asked.jobs, asked.seconds)
    for done, record in enumerate(swept, start=1):
        append_lines(asked.json, (record,))
        minutes = (time.monotonic() - began) / 60
        said = f"{done} of {len(cases)}, {minutes:.1f} min: {record.case}: "
        err.print(said + outcome_of([record]).value + f" {record.reason}", markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", required=True, help="the records, a line each")
    add("--also", type=Path, nargs="+", default=(), metavar="FILE", help="more records to judge")
    add("--only", nargs="+", metavar="PATTERN", help="runs, as */64/*/text/0")
    add(
        "--size",
        nargs="+",
        choices=(*WIDTHS, EXAMPLE, IDIOM),
        help="sizes; 44m only where asked for, or on a GPU",
    )
    add("--jobs", type=int, default=1, help="processes at a time, of one thread each (1)")
    add("--device", default="cpu", help="cpu or cuda")
    add("--dtype", help="what matrix products are computed in, as bfloat16")
    add("--steps", type=int, default=100, help="steps of training a run (100)")
    add("--seconds", type=float, help="after how long no run is started that would not be over")
    add("--page", type=Path, metavar="FILE", help="write the results as Markdown")
    add("--no-sweep", action="store_true", help="only judge what is there, or write the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
