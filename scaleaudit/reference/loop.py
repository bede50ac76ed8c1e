"""The steps of a training one after another, what is measured on the way, and when they end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from scaleaudit.domain.training import (
    Ending,
    TrainingOutcome,
    TrainingProgress,
    TrainingRequest,
)
from scaleaudit.group import Group
from scaleaudit.reference.metrics import Held, Line, line_of
from scaleaudit.reference.record import Record
from scaleaudit.reference.state import Position, gathered_state
from scaleaudit.reference.trainer import Part, Stepped, Trainer

# Steps after which several processes ask each other whether to end.
_ASKED = 10


class Loop:
    """A training under way."""

    def __init__(
        self,
        trainer: Trainer,
        parts: Iterator[list[Part]],
        held_out: Tensor,
        steps: int,
        record: Record | None,
        position: Position,
    ) -> None:
        """Make ready to go on.

        Args:
            parts: This process's parts of every batch, from where it goes on.
            held_out: Sequences to measure checkpoints on, (sequences, tokens + 1).
            steps: Where it ends.
            record: Where it is written; None for processes that don't write.
            position: Where it goes on.
        """
        self._trainer, self._parts, self._held_out = trainer, parts, held_out
        self._steps, self._record = steps, record
        self._group: Group = trainer.group
        self._step, self._losses = position.step, [*position.losses]
        self._waiting = list[Tensor]()
        self._first, self._seconds = position.step, position.seconds
        self._began = time.monotonic()
        self._line: Line | None = None
        self._saved = position.step or None
        self._validation: tuple[float, ...] = ()

    def run(
        self,
        request: TrainingRequest,
        progress: Callable[[TrainingProgress], None],
        stopped: Callable[[], bool],
    ) -> TrainingOutcome:
        """Make steps until something ends them, and save what came of them."""
        every, save_every = request.plan.every, request.save_every
        ending = None if self._step < self._steps else Ending.DONE
        while ending is None:
            found = self._trainer.step(next(self._parts))
            self._waiting.append(found.loss)
            self._step += 1
            due = self._step % save_every == 0
            told = self._step in (1, self._steps) or self._step % every == 0
            if told or (due and not self._is_finite()):
                self._measure(found)
            progress(self._progress(request.minutes))
            ending = self._ending(request.minutes, stopped)
            if due and ending is None:
                self._save()
        if ending is Ending.OVERFLOWED:
            self._trace()
        elif self._saved != self._step:
            # Whoever asks for an end may not wait for long.
            self._save(measured=ending is not Ending.STOPPED)
        return self._outcome(ending)

    def _measure(self, found: Stepped) -> None:
        """Write a line about the steps since the last one."""
        self._read_losses()
        group = self._group
        lengths = torch.stack([group.joined(turn.contiguous()) for turn in found.lengths])
        seconds, tokens = self._seconds_so_far(), self._step * self._trainer.tokens
        self._line = line_of(
            self._step, self._losses, float(found.gradient), lengths, tokens, seconds
        )
        self._losses = []
        if self._record is not None:
            self._record.tell(self._line)

    def _read_losses(self) -> None:
        """Wait for the losses of all steps so far."""
        if self._waiting:
            self._losses += torch.stack(self._waiting).tolist()
            self._waiting = []

    def _is_finite(self) -> bool:
        self._read_losses()
        return all(map(math.isfinite, self._losses))

    def _ending(self, minutes: float | None, stopped: Callable[[], bool]) -> Ending | None:
        """Return why this was the last step, the same in every process; None where it was not."""
        line = self._line
        if line is not None and line.step == self._step and line.loss is None:
            return Ending.OVERFLOWED
        if self._step >= self._steps:
            return Ending.DONE
        if self._group.size > 1 and self._step % _ASKED:
            return None
        if self._group.mean(float(stopped())) > 0:
            return Ending.STOPPED
        over = minutes is not None and self._elapsed() >= minutes * 60
        return Ending.TIME if self._group.agreed(float(over)) else None

    def _save(self, *, measured: bool = True) -> None:
        """Measure the model on text that was held out, and write what to go on from."""
        self._read_losses()
        if measured:
            self._measure_held_out()
        state = gathered_state(self._trainer)
        self._saved = self._step
        if self._record is None:
            return
        position = Position(self._step, self._seconds_so_far(), tuple(self._losses))
        self._record.save(state, position, self._step * self._trainer.tokens)

    def _measure_held_out(self) -> None:
        self._validation = self._trainer.losses(self._held_out)
        shown = tuple(loss if math.isfinite(loss) else None for loss in self._validation)
        if self._record is not None:
            self._record.tell(Held(self._step, shown))

    def _trace(self) -> None:
        if self._record is not None:
            self._record.trace()

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _seconds_so_far(self) -> float:
        return self._seconds + self._elapsed()

    def _pace(self) -> float:
        """Return the tokens a second of this start."""
        return (self._step - self._first) * self._trainer.tokens / max(self._elapsed(), 1e-9)

    def _progress(self, minutes: float | None) -> TrainingProgress:
        pace = self._pace()
        limit = math.inf if minutes is None else max(0.0, minutes * 60 - self._elapsed())
        return TrainingProgress(
            step=self._step,
            steps=self._steps,
            loss=self._loss(),
            norm=self._norms()[-1] if self._norms() else math.nan,
            pace=pace,
            left=min((self._steps - self._step) * self._trainer.tokens / pace, limit),
        )

    def _outcome(self, ending: Ending) -> TrainingOutcome:
        return TrainingOutcome(
            ending=ending,
            step=self._step,
            loss=self._loss(),
            norms=self._norms(),
            held_out=self._validation,
            pace=self._pace(),
        )

    def _loss(self) -> float:
        loss = self._line.loss if self._line is not None else None
        return math.nan if loss is None else loss

    def _norms(self) -> tuple[float, ...]:
        rows = self._line.norms if self._line is not None else ()
        return tuple(math.nan if mean is None else mean for mean, _, _ in rows)
