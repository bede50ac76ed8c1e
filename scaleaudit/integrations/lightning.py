"""A callback for Lightning's Trainer; needs ``scaleaudit[lightning]``."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from scaleaudit.integrations.following import Follower, missing
from scaleaudit.monitoring.monitor import EVERY, Watch

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise missing("lightning", "lightning") from error

# What a training step reports to the trainer, which a captured one has nothing to report to.
_REPORTS = ("log", "log_dict", "print")


class ScaleCallback(Callback):  # type: ignore[misc]  # lightning is not followed
    """Watches the carried states of a LightningModule, and logs their lengths.

    The program that is captured is that of ``training_step``, unless a loss is given. It is run for
    that as if no trainer were there: what it logs is dropped. Steps are those of the optimizer,
    measured on the last batch of each.

    Attributes:
        watch: What ``scaleaudit.monitor`` returns; None before the first step is over.
    """

    def __init__(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        every: int = EVERY,
        loss: Callable[[LightningModule, Any], Tensor] | None = None,
    ) -> None:
        """Make a callback.

        Args:
            out: As for ``scaleaudit.monitor``.
            every: The same.
            loss: Called with the module and a batch, returns a scalar. To be given where
                ``training_step`` asks for its trainer, as it does to call optimizers itself.
        """
        super().__init__()
        self._follower, self._loss = Follower(out, every), loss or _of_training_step
        self._before = -1

    @property
    def watch(self) -> Watch | None:
        """The watch, once there is one."""
        return self._follower.watch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note from where the trainer goes on."""
        self._before = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401 - what the trainer hands over
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Measure, where it is time to, and log that."""
        step, self._before = self._before, trainer.global_step
        if step == trainer.global_step:
            return  # gradients are still gathered
        value = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        with trainer.precision_plugin.forward_context(), _on_its_own(pl_module):
            found = self._follower.step(pl_module, self._loss, (batch,), value, number=step)
        if found is not None:
            pl_module.log_dict(
                dict(found.scalars()),
                on_step=True,
                on_epoch=False,
                rank_zero_only=True,
                batch_size=1,
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write what is left to write."""
        self._follower.close()


@contextmanager
def _on_its_own(module: LightningModule) -> Iterator[None]:
    """Take a module from its trainer: all that a capture can reach from it is kept and put back.

    A trainer holds data loaders, whose threads must not meet what a capture puts in between.
    """
    trainer = module.trainer
    module.trainer = None
    try:
        yield
    finally:
        module.trainer = trainer


def _of_training_step(module: LightningModule, batch: object) -> Tensor:
    """Run a module's training step, which reports to nobody meanwhile, and return its loss."""
    takes = len(inspect.signature(module.training_step).parameters)
    with _unheard(module):
        found: Any = module.training_step(*(batch, 0, 0)[:takes])
    loss: Tensor = found["loss"] if isinstance(found, Mapping) else found
    return loss


@contextmanager
def _unheard(module: LightningModule) -> Iterator[None]:
    """Let a module report nothing."""
    own = vars(module)
    before = {name: own[name] for name in _REPORTS if name in own}
    own.update(dict.fromkeys(_REPORTS, _ignored))
    try:
        yield
    finally:
        for name in _REPORTS:
            del own[name]
        own.update(before)


def _ignored(*_: object, **__: object) -> None:
    """Take what is reported, and do nothing with it."""
