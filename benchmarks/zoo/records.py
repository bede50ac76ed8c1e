"""What a sweep finds out of an architecture, one line of JSON each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.lines import read_lines


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


def read_records(path: Path) -> dict[str, Record]:
    """Return the records of a file by class; a later line replaces an earlier one.

    Raises:
        RecordError: A line is no record.
    """
    return {record.class_name: record for record in read_lines(path, Record)}
