"""What callbacks of all trainers share: a watch that begins with the first batch, and never ends a run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from scaleaudit.errors import ScaleAuditError, ScaleWarning, full_sentence
from scaleaudit.monitoring.monitor import Watch, monitor
from scaleaudit.monitoring.readings import Measurement


def missing(package: str, extra: str) -> ImportError:
    """Return the error for a callback whose trainer is not installed."""
    return ImportError(f"{package} is not installed: pip install 'scaleaudit[{extra}]'")


class Follower:
    """Follows a training that calls it once a step with what the loss takes after the model.

    Attributes:
        watch: Begun with the first batch; None before, and where the model cannot be watched.
    """

    def __init__(self, out: str | os.PathLike[str] | None, every: int) -> None:
        self.watch: Watch | None = None
        self._out, self._every = out, every
        self._given_up = False

    def step(
        self,
        model: torch.nn.Module,
        loss: Callable[..., Any] | None,
        batch: tuple[Any, ...],
        value: Tensor | float | None,
        *,
        number: int,
        named: Mapping[str, Any] | None = None,
        autocast: torch.dtype | None = None,
    ) -> Measurement | None:
        """Tell the watch of a step.

        Args:
            loss: As ``scaleaudit.monitor`` takes it; None where the model is called by itself.
            value: The loss of the step.
            number: Which step it is, from 0; the watch counts on from the first.
            named: What belongs to the batch and goes by name.
        """
        if self.watch is None and not self._given_up:
            how = {"loss": loss, "start": number, "autocast": autocast}
            self.watch = self._begun(model, batch, {**(named or {}), **how})
        return None if self.watch is None else self.watch.step(value, *batch, **(named or {}))

    def _begun(
        self,
        model: torch.nn.Module,
        batch: tuple[Any, ...],
        how: Mapping[str, Any],
    ) -> Watch | None:
        try:
            return monitor(model, *batch, out=self._out, every=self._every, **how)
        except ScaleAuditError as error:
            self._given_up = True
            text = f"training goes on without a watch: {full_sentence(error)}"
            warnings.warn(text, ScaleWarning, stacklevel=2)
            return None

    def close(self) -> None:
        """Write what is left to write."""
        if self.watch is not None:
            self.watch.close()
