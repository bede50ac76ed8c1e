"""What a watch has seen so far, in the lines that ``probe --save`` writes as well.

The file is whole at any time: it is written anew and put in the place of the old one. Since that
takes longer the more there is, it is done so rarely that it takes a small share of the time.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import scaleaudit
from scaleaudit.domain.probing import StateTrace, TrainingRun, Turn
from scaleaudit.domain.report import TargetReport
from scaleaudit.errors import ConfigError
from scaleaudit.files import replacing
from scaleaudit.monitoring.readings import Measurement
from scaleaudit.monitoring.signs import Sign
from scaleaudit.traces import run_line
from scaleaudit.wire import Json

# Seconds between two writings, at least; and how many times what one took.
_PAUSE, _SHARE = 1.0, 100

_OTHER = "Give another file as out; its folder has to be there."


class Journal:
    """The traces of one training, and the file that they go to."""

    def __init__(
        self,
        target: TargetReport,
        states: Sequence[tuple[str, str]],
        out: Path | None,
        start: int,
        seed: int,
    ) -> None:
        """Begin a journal, and its file.

        Args:
            states: Loop and state of everything that is measured.
            start: The number of the first step; of a later one the file is continued.
            seed: What torch draws from.

        Raises:
            ConfigError: The file cannot be written.
        """
        self._target, self._states, self._out = target, tuple(states), out
        self._turns: list[list[tuple[Turn, ...]]] = [[] for _ in states]
        self._measured = array("q")
        self._losses = array("d")
        self._signs: list[Sign] = []
        self._seed = seed
        self._overflowed: int | None = None
        self._began, self._next = time.monotonic(), 0.0
        self._head = _head(target)
        self._before = ""
        try:
            if out is not None and start and out.exists():
                self._before = out.read_text(encoding="utf-8")
            self.write()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "what it holds is no text"
            raise ConfigError(f"traces cannot be written to {out}: {why}", hint=_OTHER) from error

    def lose(self, losses: Sequence[float]) -> None:
        """Note the losses of steps in a row; NaN for one that was not told."""
        self._losses.extend(losses)

    def overflow(self, step: int) -> None:
        """Note the first step at which the loss was no number."""
        self._overflowed = step

    def note(self, found: Measurement) -> None:
        """Note a measurement; its signs are noted as they are told."""
        self._measured.append(found.step)
        for kept, reading in zip(self._turns, found.readings, strict=True):
            kept.append(reading.turns)

    def sign(self, sign: Sign) -> None:
        """Note a sign."""
        self._signs.append(sign)

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The signs so far."""
        return tuple(self._signs)

    @property
    def run(self) -> TrainingRun:
        """All that was measured so far."""
        return TrainingRun(
            seed=self._seed,
            fix="",
            measured=tuple(self._measured),
            losses=tuple(self._losses),
            states=tuple(
                StateTrace(state, loop, tuple(turns))
                for (loop, state), turns in zip(self._states, self._turns, strict=True)
            ),
            seconds=time.monotonic() - self._began,
            overflowed=self._overflowed,
        )

    def write_now_and_then(self) -> None:
        """Write the file where there is time for that.

        Raises:
            OSError: It cannot be written.
        """
        if self._out is not None and time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """Write the file.

        Raises:
            OSError: It cannot be written.
        """
        if self._out is None:
            return
        began = time.monotonic()
        with replacing(self._out) as file:
            file.write_text(self._text(), encoding="utf-8")
        ended = time.monotonic()
        self._next = ended + max(_PAUSE, _SHARE * (ended - began))

    def _text(self) -> str:
        target = self._target
        lines = [self._before, self._head, run_line(target.path, target.name, self.run)]
        return "".join((*lines, *(_line(target, "sign", _sign(sign)) for sign in self._signs)))


def _head(target: TargetReport) -> str:
    """Write what the audit says of the model."""
    findings: list[Json] = [
        {
            "code": finding.code,
            "severity": finding.severity.value,
            "message": finding.message,
            "line": str(finding.location) if finding.location else None,
        }
        for finding in target.findings
    ]
    said: dict[str, Json] = {
        "scaleaudit": scaleaudit.__version__,
        "verdict": target.verdict.value,
        "findings": findings,
        "undecided": list(target.undecided),
    }
    return _line(target, "audit", said)


def _sign(sign: Sign) -> dict[str, Json]:
    return {
        "sign": sign.kind.value,
        "step": sign.step,
        "loop": sign.loop or None,
        "state": sign.state or None,
        "message": sign.message,
    }


def _line(target: TargetReport, kind: str, said: dict[str, Json]) -> str:
    of: dict[str, Json] = {"path": target.path, "target": target.name, "kind": kind}
    return f"{json.dumps(of | said, allow_nan=False)}\n"
