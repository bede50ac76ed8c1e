"""The formats of a report as the command line takes them, and the files that they go to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from scaleaudit.errors import ConfigError
from scaleaudit.report.formats import FORMATS as RENDERERS

FORMATS = tuple(RENDERERS)


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
