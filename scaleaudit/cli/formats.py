"""The formats of a report as the command line takes them, and the files that they go to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from scaleaudit.errors import ConfigError
from scaleaudit.report.formats import FORMATS as RENDERERS
from scaleaudit.report.formats import Look

if TYPE_CHECKING:
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import Report

FORMATS = tuple(RENDERERS)


def render(
    report: Report,
    form: str,
    *,
    colour: bool,
    show_output: bool,
    fail_level: Severity | None = None,
    unknown_fails: bool = True,
) -> str:
    """Write a report in one of FORMATS.

    Args:
        report: The finished audit.
        form: The name of the format.
        colour: Whether to use ANSI colours where the format has them.
        show_output: Whether to show what the models' code printed.
        fail_level: The least severity that fails the run; an error by default.
        unknown_fails: Whether a target without a verdict does.
    """
    from scaleaudit.cli.outcomes import failing

    look = Look(failing(fail_level), colour, show_output, unknown_fails)
    return RENDERERS[form](report, look)


def parse_outputs(outputs: tuple[str, ...], audited: Iterable[str] = ()) -> list[tuple[str, Path]]:
    """Read what --output was given, as formats with their files.

    Args:
        outputs: Each FORMAT:FILE.
        audited: Paths that are to be audited, and so not to be written over.

    Raises:
        ConfigError: It is no known format, its file cannot be written, or another goes there too.
    """
    parsed: list[tuple[str, Path]] = []
    taken = {Path(path.partition("::")[0]).resolve(): "is to be audited" for path in audited}
    for text in outputs:
        form, colon, file = text.partition(":")
        if form not in FORMATS or not colon or not file:
            raise ConfigError(
                f"--output takes FORMAT:FILE with a format of {', '.join(FORMATS)}, not {text!r}",
                hint="Write --output json:report.json.",
            )
        if file == "-":
            raise ConfigError(
                f"--output {text}: it writes to files, not to the standard output",
                hint=f"Write --format {form} for that.",
            )
        path = Path(file)
        _writable(text, path)
        if (place := path.resolve()) in taken:
            raise ConfigError(f"--output {text}: {file} {taken[place]}")
        taken[place] = "is where another --output goes"
        parsed.append((form, path))
    return parsed


def _writable(text: str, path: Path) -> None:
    """Complain before the audit of what would fail after it."""
    if not path.parent.is_dir():
        raise ConfigError(f"--output {text}: no such folder: {path.parent}")
    if path.is_dir():
        raise ConfigError(f"--output {text}: {path} is a folder")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--output {text}: nothing can be written to {path.parent}")
