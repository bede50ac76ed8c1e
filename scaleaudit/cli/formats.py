"""The formats of a report as the command line takes them, and the files that they go to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scaleaudit.errors import ConfigError
from scaleaudit.report.formats import FORMATS as RENDERERS

FORMATS = tuple(RENDERERS)
# What somebody wrote by hand or by training; no report has such a name.
_OF_OTHERS = {
    **dict.fromkeys((".py", ".pyi", ".pyw"), "is source code"),
    ".pt2": "is an exported program",
    ".toml": "is a file of settings",
}
_PAGE = ".md"


@dataclass(frozen=True, slots=True)
class InUse:
    """What a run reads, and so must not write over.

    Attributes:
        audited: Paths that are to be audited.
        files: Others, each with what it is.
        pages: Folders with rule pages.
    """

    audited: Iterable[str] = ()
    files: Mapping[Path, str] = field(default_factory=dict)
    pages: Iterable[Path] = ()

    def reasons(self) -> dict[Path, str]:
        """Say of every file by its whole path what it is."""
        from scaleaudit.sources import split_target

        audited = {
            Path(split_target(path)[0]).resolve(): "is to be audited" for path in self.audited
        }
        return {**audited, **{file.resolve(): said for file, said in self.files.items()}}

    def is_page(self, file: Path) -> bool:
        """Tell whether a file is a rule page, or would be taken for one."""
        folders = [folder.resolve() for folder in self.pages]
        return file.suffix == _PAGE and file.parent in folders


def parse_outputs(outputs: tuple[str, ...], in_use: InUse = InUse()) -> list[tuple[str, Path]]:
    """Read what --output was given, as formats with their files.

    Args:
        outputs: Each FORMAT:FILE.
        in_use: What is not to be written over.

    Raises:
        ConfigError: It is no known format, its file cannot be written or is in use, or another
            goes there too.
    """
    parsed: list[tuple[str, Path]] = []
    taken = in_use.reasons()
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
        place = path.resolve()
        said = "lies among rule pages" if in_use.is_page(place) else _written_by_others(place)
        if why := taken.get(place, said):
            raise ConfigError(
                f"--output {text}: {file} {why}", hint="Nothing was written. Name another file."
            )
        taken[place] = "is where another --output goes"
        parsed.append((form, path))
    return parsed


def _written_by_others(place: Path) -> str:
    """Say what is there that no report is; empty where there is no such thing."""
    return _OF_OTHERS.get(place.suffix, "") if place.exists() else ""


def _writable(text: str, path: Path) -> None:
    """Complain before the audit of what would fail after it."""
    if not path.parent.is_dir():
        raise ConfigError(f"--output {text}: no such folder: {path.parent}")
    if path.is_dir():
        raise ConfigError(f"--output {text}: {path} is a folder")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--output {text}: nothing can be written to {path.parent}")
