"""`report`: show results that were written before, here or on another machine."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from scaleaudit.cli.formats import FORMATS, InUse, parse_outputs
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.cli.outcomes import EXIT_CLEAN, failing
from scaleaudit.console import say, write_atomically
from scaleaudit.errors import ConfigError
from scaleaudit.report.formats import FORMATS as RENDERERS
from scaleaudit.report.formats import Look

if TYPE_CHECKING:
    from scaleaudit.domain.comparison import Comparison
    from scaleaudit.domain.report import Report
    from scaleaudit.domain.traced import Traced

_PAGE = "html"


class Flags(TypedDict):
    """The options of `report`, by the names that click gives them."""

    shown: str | None
    outputs: tuple[str, ...]
    against: Path | None
    traces: Path | None


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="OLD",
    help="Tell what changed since these results; in HTML alone.",
)
@click.option(
    "--traces",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Plot training that was kept, as by `probe --save`, as well; in HTML alone.",
)
@click.option(
    "--format",
    "shown",
    type=click.Choice(FORMATS),
    help="What to print.  [default: html, and nothing where there is an --output]",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    help="Write a format to a file; may be given again.",
)
@colour_flag
def report(results: Path, **flags: Unpack[Flags]) -> int:
    """Show results that were kept, in any format; as a page of HTML by default.

    Nothing is audited, and no source is needed. RESULTS and OLD are what `check --output json:FILE` or `--output html:FILE` wrote; a page holds
    its results.

    Exit code: 0, whatever was found; 2 wrong usage, or no results.
    """
    against, traces = flags["against"], flags["traces"]
    used = {file: "is to be read" for file in (results, against, traces) if file is not None}
    files = parse_outputs(flags["outputs"], InUse(files=used))
    shown = flags["shown"] or ("" if files else _PAGE)
    if (against or traces) and _PAGE not in (shown, *(form for form, _ in files)):
        raise ConfigError(
            "--against and --traces are shown in HTML, and no format that is asked for is that",
            hint="Write --output html:FILE; `scaleaudit diff` compares in other formats.",
        )
    found = _read(results)
    look = Look(
        failing=failing(None),
        comparison=None if against is None else _compared(against, found, results),
        traces=() if traces is None else _traced(traces),
    )
    for form, file in files:
        write_atomically(file, RENDERERS[form](found, look))
        say(f"wrote {file}")
    if shown:
        colour, columns = use_colour(sys.stdout), columns_of(sys.stdout)
        write_out(RENDERERS[shown](found, replace(look, colour=colour, columns=columns)))
    return EXIT_CLEAN


def _read(file: Path) -> Report:
    from scaleaudit.cli.reports import read_report

    return read_report(file)


def _compared(against: Path, found: Report, results: Path) -> Comparison:
    from scaleaudit.comparing.comparing import compare

    return compare(_read(against), found, (str(against), str(results)))


def _traced(file: Path) -> tuple[Traced, ...]:
    from scaleaudit.cli.reports import read_text
    from scaleaudit.report.trace_reading import from_json_lines

    return from_json_lines(read_text(file), str(file))
