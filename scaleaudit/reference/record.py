"""What a training leaves in its folder while it runs; of several processes the first one writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from scaleaudit.errors import ConfigError
from scaleaudit.files import replacing
from scaleaudit.reference.board import Board
from scaleaudit.reference.checkpoints import Origin, save_weights
from scaleaudit.reference.metrics import Held, Line, Metrics, read_lines, training_run
from scaleaudit.reference.runs import Card, Folder
from scaleaudit.reference.state import Position, save_state, weights_in
from scaleaudit.traces import run_line

# Where an audit finds these models.
_PATH = "scaleaudit/reference/targets.py"


class Record:
    """Writes the files of a run."""

    def __init__(self, folder: Folder, card: Card, origin: Origin, board: Board | None) -> None:
        """Begin, or go on behind the step of ``origin``."""
        self._folder, self._card, self._origin = folder, card, origin
        self._metrics = Metrics(folder.metrics, after=origin.step)
        self._board = board

    def tell(self, line: Line | Held) -> None:
        """Write a line of metrics."""
        self._metrics.write(line)
        if self._board is not None:
            self._board.tell(line)

    def save(self, state: Mapping[str, Tensor], position: Position, seen: int) -> None:
        """Write the model, its traces, and what the training goes on from.

        The last of them comes last: a training that goes on from an earlier state writes all
        that came after it again.
        """
        origin = replace(self._origin, step=position.step, seen=seen)
        save_weights(self._folder.checkpoint, self._card.model, weights_in(state), origin)
        self.trace()
        save_state(self._folder.state, state, position)

    def trace(self) -> None:
        """Write the traces of all lines so far."""
        plan = self._card.plan
        run = training_run([*read_lines(self._folder.metrics)], plan.seed)
        text = run_line(_PATH, f"{plan.condition}_{plan.size}", run)
        try:
            with replacing(self._folder.traces) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {self._folder.traces}: {error.strerror}") from error

    def close(self) -> None:
        """Write no more."""
        self._metrics.close()
        if self._board is not None:
            self._board.close()
