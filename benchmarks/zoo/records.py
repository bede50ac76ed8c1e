"""What a sweep finds out of an architecture, one line of JSON each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec


class Status(Enum):
    """How far an architecture came."""

    AUDITED = "audited"
    NOT_AUDITED = "not audited"
    DOES_NOT_RUN = "does not run eagerly"
    DOES_NOT_BUILD = "does not build"


@dataclass(frozen=True, slots=True)
class State:
    """A carried state, with what a turn does to its length and what the loss sees of it."""

    name: str
    transition: str
    visibility: str
    has_weights: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop that the audit reports."""

    name: str
    turns: int
    place: str
    states: tuple[State, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: its code, and the message of its first line."""

    code: str
    message: str
    place: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An operator that is not understood."""

    operator: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """An architecture with all that was found out.

    Attributes:
        reason: Why it was not audited.
        verdict: Empty where it was not audited.
        undecided: Why the verdict is unknown.
        tries: How many small configurations it took until one ran.
        eager_seconds: Of building it and running it on real tensors, all tries together.
        seconds: Of the audit.
    """

    class_name: str
    model_type: str
    kind: str
    status: Status
    reason: str = ""
    verdict: str = ""
    loops: tuple[Loop, ...] = ()
    findings: tuple[Finding, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    undecided: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    operators: int = 0
    parameters: int = 0
    tries: int = 0
    eager_seconds: float = 0.0
    seconds: float = 0.0


class RecordError(Exception):
    """A file does not hold records."""


def read_records(path: Path) -> dict[str, Record]:
    """Return the records of a file by class; a later line replaces an earlier one.

    A last line that was cut off, as by a stopped sweep, is left out.

    Raises:
        RecordError: Another line is no record.
    """
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    found = {}
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = msgspec.json.decode(line, type=Record)
        except msgspec.DecodeError as error:
            raise RecordError(f"{path}:{number} is no record: {error}") from error
        found[record.class_name] = record
    return found


def append_records(path: Path, records: Iterable[Record]) -> None:
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
