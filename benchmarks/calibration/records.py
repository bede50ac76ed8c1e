"""What a run of the calibration found, one line of JSON each: figures, from which verdicts follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks.calibration.cases import Case
from benchmarks.lines import read_lines


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run showed of one state. None stands for what is no number.

    Attributes:
        known: Whether the objective is a number where the state is scaled.
        response: How much it changes from 1e2 to 1e4 times the state.
        first: The mean norm at the first step.
        norm: The same at the end of training.
        twin: The same in the twin with a penalty.
        deeper: Factor on the norm at four times the turns.
        depths: Numbers of turns, with the norm that the trained loop gives there.
        kept: What a turn of the trained loop multiplies very long states by.
        reach: What the norm is multiplied by as all weights go from 1e2 to 1e4 times.
        untouched: The share of tokens that a turn leaves just as they are.
        attainable: What turns can be trained to keep of very long states.
        late: What it grew by over the last three quarters of training.
        directions: The share of its directions along which the objective sees its length.
    """

    state: str
    known: bool
    response: float | None
    first: float | None
    norm: float | None
    twin: float | None
    deeper: float | None
    depths: tuple[tuple[int, float | None], ...] = ()
    kept: float | None = None
    reach: float | None = None
    untouched: float | None = None
    attainable: float | None = None
    late: float | None = None
    directions: float | None = None

    @property
    def ratio(self) -> float:
        """The norm over that of the twin."""
        return self.norm / self.twin if self.norm is not None and self.twin else math.nan


@dataclass(frozen=True, slots=True)
class Record:
    """One run.

    Attributes:
        states: Empty where it failed, which ``reason`` then explains.
        overflowed: Whether numbers ended in the target and not in the twin.
        fall: By what share of its first value the loss of the twin fell.
        loss: What the loss of the target ended at.
        recipe: Device, precision, optimiser and data, in words.
        seconds: What the run took, without building and capturing.
    """

    case: Case
    steps: int
    states: tuple[Figures, ...] = ()
    reason: str = ""
    overflowed: bool = False
    fall: float | None = None
    loss: float | None = None
    recipe: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def read_records(path: Path) -> dict[Case, Record]:
    """Return the records of a file by run; a later line replaces an earlier one.

    Raises:
        RecordError: A line is no record.
    """
    return {record.case: record for record in read_lines(path, Record)}
