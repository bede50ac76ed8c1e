"""In which line of a file of settings a key stands, which its parser does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

# A bare or quoted key, or several with dots between.
_PART = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<name>{_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*(?P<name>{_DOTTED})\s*=")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
Path = tuple[str | int, ...]


def line_of(text: str, table: Path, key: str) -> int:
    """Return the line that a key, or what holds it, starts in; 0 where that cannot be told.

    Args:
        text: A file that is valid TOML.
        table: The table that holds the key.
        key: As messages have it: ``targets[0].inputs``.
    """
    wanted = (*table, *_steps(key))
    best, line = len(table), 0
    for number, path in _paths(text):
        if len(path) > best and wanted[: len(path)] == path:
            best, line = len(path), number
    return line


def _steps(key: str) -> Path:
    return tuple(int(index) if index else name for index, name in _STEP.findall(key))


def _paths(text: str) -> Iterator[tuple[int, Path]]:
    """Yield every line that names a key or a table, with its path."""
    lines = text.split("\n")
    arrays: dict[Path, int] = {}
    current: Path = ()
    for number, line in enumerate(lines, start=1):
        found = _HEADER.match(line) or _KEY.match(line)
        if found is None or not _starts_anew(lines[: number - 1]):
            continue
        names = _names(found["name"])
        if "open" not in found.groupdict():
            yield number, (*current, *names)
            continue
        current = _indexed(names, arrays, opens=found["open"] == "[[")
        yield number, current


def _starts_anew(lines: list[str]) -> bool:
    """Tell whether nothing is open after some lines, as a string or a list over several is."""
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _names(dotted: str) -> tuple[str, ...]:
    found: object = tomllib.loads(f"{dotted} = 0")
    names: list[str] = []
    while isinstance(found, Mapping):
        ((name, found),) = found.items()
        names.append(name)
    return tuple(names)


def _indexed(names: tuple[str, ...], arrays: dict[Path, int], *, opens: bool) -> Path:
    """Return the path of a table; one in an array of tables is in its last one so far."""
    path: Path = ()
    for depth, name in enumerate(names, start=1):
        path = (*path, name)
        if opens and depth == len(names):
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path
