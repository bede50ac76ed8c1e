"""Files of records, a line of JSON each, that a benchmark that was stopped goes on with."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class RecordError(Exception):
    """A file does not hold records."""


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """Return the records of a file, none where there is no file.

    A last line that was cut off, as by a stopped run, is left out.

    Raises:
        RecordError: Another line is no record.
    """
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    found = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except msgspec.DecodeError as error:
            raise RecordError(f"{path}:{number} is no record: {error}") from error
    return found


def append_lines(path: Path, records: Iterable[object]) -> None:
    """Add lines to a file, each written at once, behind what was cut off before."""
    with path.open("ab+") as file:
        _end_last_line(path)
        for record in records:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()


def _end_last_line(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
