"""Where the loss of a training was no number any more, as its metrics tell."""

from __future__ import annotations

from scaleaudit.domain.reproduction import OverflowedRun
from scaleaudit.reference.metrics import Line, read_lines
from scaleaudit.reference.runs import Folder


def overflow_in(folder: Folder) -> OverflowedRun | None:
    """Return how the run in a folder overflowed; None where it did not, or where there is none.

    Raises:
        ConfigError: What the run is cannot be read.
    """
    card = folder.card()
    if card is None:
        return None
    length, measured = None, 0
    for line in read_lines(folder.metrics):
        if not isinstance(line, Line):
            continue
        if line.loss is None:
            return OverflowedRun(
                condition=card.plan.condition,
                blind=card.model.condition.blind,
                size=card.plan.size,
                seed=card.plan.seed,
                step=_first_without(line),
                length=length,
                measured=measured,
            )
        if line.norms and line.norms[-1][0] is not None:
            length, measured = line.norms[-1][0], line.step
    return None


def _first_without(line: Line) -> int:
    """Return the step of a line's first loss that was no number."""
    before = line.step - len(line.losses)
    bad = (step for step, loss in enumerate(line.losses, before + 1) if loss is None)
    return next(bad, line.step)
