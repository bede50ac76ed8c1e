"""The formats of a report, and where each is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.domain.report import Report

FORMATS = ("full", "concise", "json")


def render(report: Report, form: str, *, colour: bool, show_output: bool) -> str:
    """Write a report in one of FORMATS."""
    if form == "json":
        from scaleaudit.report.structure import to_json

        return to_json(report)
    from scaleaudit.report.text import Detail, to_text

    return to_text(report, Detail(form), colour=colour, show_output=show_output)


def parse_outputs(outputs: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Read what --output was given, as formats with their files.

    Raises:
        ConfigError: It is no known format with a file in a folder that exists.
    """
    parsed: list[tuple[str, Path]] = []
    for text in outputs:
        form, colon, file = text.partition(":")
        if form not in FORMATS or not colon or not file:
            raise ConfigError(
                f"--output takes FORMAT:FILE with a format of {', '.join(FORMATS)}, not {text!r}",
                hint="Write --output json:report.json.",
            )
        if not Path(file).parent.is_dir():
            raise ConfigError(f"--output {text}: no such folder: {Path(file).parent}")
        parsed.append((form, Path(file)))
    return parsed
