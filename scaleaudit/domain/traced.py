"""Traces of training that were kept, of whatever was trained."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.probing import TrainingRun


@dataclass(frozen=True, slots=True)
class Traced:
    """The kept runs of one target.

    Attributes:
        path: Where it is from, as whoever trained it says.
        name: What it is called there.
    """

    path: str
    name: str
    runs: tuple[TrainingRun, ...]
