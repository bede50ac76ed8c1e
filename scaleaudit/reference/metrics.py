"""What a training goes through, as JSON lines: appended to, cut back, and turned into traces."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from scaleaudit.domain.probing import StateTrace, TrainingRun, Turn
from scaleaudit.errors import ConfigError
from scaleaudit.wire import read_json

# What an audit calls the loop of the reference models, and what it carries.
LOOP, STATE = "LoopedDecoder.forward", "h"
# Elements up to which torch sorts for a quantile; of more tokens every so manyth is looked at.
_MOST_TOKENS = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of metrics, about the steps since the one before.

    Attributes:
        step: Steps that were made.
        loss: Mean of ``losses``; None where one of them was no number, as below.
        losses: Of every step.
        gradient: Norm of the gradients at the last of them, before they were clipped.
        norms: Lengths of the state's tokens at the last of them, after every turn: mean, 95th
            percentile and largest.
        tokens: That were trained on so far.
        seconds: That training took so far, over all of its starts.
    """

    step: int
    loss: float | None
    losses: tuple[float | None, ...]
    gradient: float | None
    norms: tuple[tuple[float | None, float | None, float | None], ...]
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """A line about text that was held out.

    Attributes:
        held_out: Cross-entropy after every turn.
    """

    step: int
    held_out: tuple[float | None, ...]


def line_of(
    step: int,
    losses: Sequence[float],
    gradient: float,
    lengths: Tensor,
    tokens: int,
    seconds: float,
) -> Line:
    """Write a line.

    Args:
        lengths: Of all tokens, (turns, tokens).
    """
    return Line(
        step=step,
        loss=_number(sum(losses) / len(losses)),
        losses=tuple(map(_number, losses)),
        gradient=_number(gradient),
        norms=tuple((_number(a), _number(b), _number(c)) for a, b, c in summaries(lengths)),
        tokens=tokens,
        seconds=round(seconds, 3),
    )


def summaries(lengths: Tensor) -> list[list[float]]:
    """Return mean, 95th percentile and largest of (turns, tokens) lengths, turn by turn."""
    apart = -(-lengths.shape[1] // _MOST_TOKENS)
    top = torch.quantile(lengths[:, ::apart], 0.95, dim=1)
    found: list[list[float]] = torch.stack(
        [lengths.mean(dim=1), top, lengths.amax(dim=1)], dim=1
    ).tolist()
    return found


def _number(value: float) -> float | None:
    """JSON has no word for what is no number."""
    return value if math.isfinite(value) else None


class Metrics:
    """A file of metrics that is written line by line."""

    def __init__(self, path: Path, after: int = 0) -> None:
        """Open a file, and forget what it says of later steps."""
        self._path = path
        lines = [each for each in read_lines(path) if each.step <= after] if after else []
        try:
            path.write_bytes(b"".join(map(_encoded, lines)))
            # What is written is not held back, so that closing has nothing left to fail at.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from error

    def write(self, line: Line | Held) -> None:
        """Append a line.

        Raises:
            ConfigError: It cannot be written.
        """
        left = _encoded(line)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise ConfigError(
                f"cannot write {self._path}: {error.strerror}", hint="Is there room for it?"
            ) from error

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def _encoded(line: Line | Held) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def read_lines(path: Path) -> Iterator[Line | Held]:
    """Yield the lines of a file; the last one may have been cut short."""
    if not path.exists():
        return
    kinds: tuple[Any, ...] = (Line, Held)
    for text in path.read_text(encoding="utf-8").splitlines():
        for kind in kinds:
            try:
                yield read_json(text, kind)
                break
            except msgspec.DecodeError:
                continue
        else:
            return


def training_run(lines: Sequence[Line | Held], seed: int) -> TrainingRun:
    """Return the traces of a training."""
    told = [line for line in lines if isinstance(line, Line)]
    losses = tuple(loss for line in told for loss in line.losses)
    bad = next((step for step, loss in enumerate(losses) if loss is None), None)
    turns = tuple(tuple(Turn(*map(_or_none, at)) for at in line.norms) for line in told)
    return TrainingRun(
        seed=seed,
        fix="",
        measured=tuple(line.step - 1 for line in told),
        losses=tuple(map(_or_none, losses)),
        states=(StateTrace(STATE, LOOP, turns),),
        seconds=told[-1].seconds if told else 0.0,
        overflowed=bad,
    )


def _or_none(value: float | None) -> float:
    return math.nan if value is None else value
