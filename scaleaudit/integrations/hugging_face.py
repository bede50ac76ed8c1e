"""A callback for the Trainer of Hugging Face's transformers; needs ``scaleaudit[hugging-face]``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from scaleaudit.integrations.following import Follower, missing
from scaleaudit.monitoring.monitor import EVERY, Watch

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise missing("transformers", "hugging-face") from error

# What the model was called with, by place and by name.
_Batch = tuple[tuple[Any, ...], Mapping[str, Any]]


class ScaleCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Watches the carried states of the Trainer's model, and logs their lengths.

    Batches and losses are seen by a hook on the model, as the Trainer hands callbacks neither; it
    is gone when training ends, and keeps the latest batch alive until then. Steps are those of the
    optimizer, measured on the last batch of each.

    Attributes:
        watch: What ``scaleaudit.monitor`` returns; None before the first step is over.
    """

    def __init__(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        every: int = EVERY,
    ) -> None:
        """Make a callback.

        Args:
            out: As for ``scaleaudit.monitor``.
            every: The same.
        """
        self._follower = Follower(out, every)
        self._log: Callable[[dict[str, float]], object] | None = None
        self._hook: Any = None
        self._batch: _Batch | None = None
        self._loss: Tensor | None = None

    @property
    def watch(self) -> Watch | None:
        """The watch, once there is one."""
        return self._follower.watch

    def log_with(self, log: Callable[[dict[str, float]], object]) -> None:
        """Say what to log with; by default lengths are put into the state's log history alone.

        Args:
            log: Given lengths by names, as ``scaleaudit/h/turn_4``. A Trainer's own ``log`` sends
                them to all that it reports to.
        """
        self._log = log

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - what the Trainer hands over
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        *,
        model: torch.nn.Module,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Look on when the model is called."""
        self._hook = model.register_forward_hook(self._called, with_kwargs=True)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        *,
        model: torch.nn.Module,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Measure, where it is time to, and log that."""
        if self._batch is None:
            return
        given, named = self._batch
        with_loss = self._loss is not None
        found = self._follower.step(
            model,
            _loss_in_output if with_loss else None,
            (given, named) if with_loss else given,
            self._loss,
            number=state.global_step - 1,
            named=None if with_loss else named,
            autocast=_autocast(args),
        )
        self._batch = self._loss = None
        if found is None:
            return
        if self._log is not None:
            self._log(dict(found.scalars()))
            return
        state.log_history.append(
            {**found.scalars(), "epoch": state.epoch, "step": state.global_step}
        )

    def on_train_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Look on no more, and write what is left to write."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self._follower.close()

    def _called(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object
    ) -> None:
        if model.training and torch.is_grad_enabled():
            self._batch = args, kwargs
            loss = _found(output)
            self._loss = None if loss is None else loss.detach().clone()


def _loss_in_output(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tensor | None:
    """Call a model as the Trainer does, and return the loss that it returns."""
    return _found(model(*args, **kwargs))


def _found(output: object) -> Tensor | None:
    """Return the loss in what a model of transformers returns, if it was asked for one."""
    first = output[0] if isinstance(output, tuple) and output else None
    found = output.get("loss") if isinstance(output, Mapping) else first
    return found if isinstance(found, Tensor) and not found.dim() else None


def _autocast(args: TrainingArguments) -> torch.dtype | None:
    """Return the type that the Trainer computes matrix products in."""
    if args.bf16:
        return torch.bfloat16
    return torch.float16 if args.fp16 else None
