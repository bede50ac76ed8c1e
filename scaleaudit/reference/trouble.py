"""What keeps a training from going on, in words for whoever started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scaleaudit.domain.training import TrainingPlan
from scaleaudit.errors import ProbeError, ran_out_of_memory
from scaleaudit.group import heard


@contextmanager
def explained(plan: TrainingPlan, device: torch.device) -> Iterator[None]:
    """Say so where the memory is too small, or other processes are gone.

    Raises:
        ProbeError: It is so.
    """
    try:
        with heard():
            yield
    except (RuntimeError, MemoryError) as error:
        if not (isinstance(error, torch.OutOfMemoryError) or ran_out_of_memory(error)):
            raise
        parts = f" in {plan.accumulate} parts" if plan.accumulate > 1 else ""
        raise ProbeError(
            f"a step of {plan.batch} sequences{parts} takes more memory than {device.type} has left",
            hint="Compute a step in more parts with --accumulate, or make it smaller with --batch.",
        ) from error
