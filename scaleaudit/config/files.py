"""Finding and reading files of settings.

A folder's settings are in `.scaleaudit.toml`, else in `scaleaudit.toml`, else in the table
`[tool.scaleaudit]` of its `pyproject.toml`; a `pyproject.toml` without that table says nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scaleaudit.config.keys import Config, read_config
from scaleaudit.config.places import Place, seen
from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file as read_bytes

PROJECT = "pyproject.toml"
NAMES = (".scaleaudit.toml", "scaleaudit.toml", PROJECT)
TABLE = ("tool", "scaleaudit")
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file of settings that was read.

    Attributes:
        given: The keys that it has.
        place: The file, with what it takes to find the lines of its keys.
    """

    config: Config
    given: frozenset[str]
    place: Place


def files_above(folder: Path) -> Iterator[SettingsFile]:
    """Yield the settings of a folder and of those above it, the nearest first.

    Raises:
        ConfigError: A file is no TOML, or holds what it may not.
    """
    for parent in (folder, *folder.parents):
        named = (parent / name for name in NAMES)
        found = (read_file(file) for file in named if file.exists() and not file.is_dir())
        first = next((each for each in found if each is not None), None)
        if first is not None:
            yield first


def read_file(file: Path) -> SettingsFile | None:
    """Read a file of settings; None for a pyproject.toml that has none.

    Raises:
        ConfigError: It is no TOML, or holds what it may not.
    """
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=seen(file)) from error


@cache
def _read(file: Path, _changed: int) -> SettingsFile | None:
    """Read a file of settings, once as long as it does not change."""
    text = _text(file)
    names = TABLE if file.name == PROJECT else ()
    table: object = tomllib.loads(text)
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    if table is None:
        return None
    place = Place(file, text=text, table=names)
    if not isinstance(table, dict):
        raise ConfigError(f"{place.title} must be a table, not {table!r}", where=str(place))
    return SettingsFile(read_config(table, place), frozenset(table), place)


def _text(file: Path) -> str:
    """Read a file that is TOML."""
    try:
        text = read_bytes(file).decode().replace("\r\n", "\n")
        tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(
            "cannot be read: it is not UTF-8", where=seen(file), hint="Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        where = f"{seen(file)}:{line[1]}" if line else seen(file)
        raise ConfigError(
            f"is no TOML: {_LINE.sub('', str(error)).strip()}", where=where
        ) from error
    return text
