"""What users hand to a monitor, checked when they do."""

from __future__ import annotations

from contextlib import suppress
from typing import SupportsFloat

import torch
from torch import Tensor

from scaleaudit.errors import ConfigError, class_name


def check_options(every: object, start: object, autocast: object) -> None:
    """Refuse options that mean nothing; callers of Python may hand over anything."""
    if not (isinstance(every, int) and isinstance(start, int) and every >= 1 and start >= 0):
        raise ConfigError(
            f"every={every!r}, start={start!r}: whole numbers, the one at least 1, the other 0"
        )
    if autocast is not None and not isinstance(autocast, torch.dtype):
        raise ConfigError(
            f"autocast={autocast!r} is no type of torch", hint="Write autocast=torch.bfloat16."
        )


def check_model(model: object) -> None:
    """Refuse a model that the audit has no opinion on."""
    if not isinstance(model, torch.nn.Module):
        return  # the audit says what is wrong with it
    weights = list(model.parameters())
    devices = {weight.device for weight in weights}
    if len(devices) > 1 or any(device.type == "meta" for device in devices):
        where = ", ".join(sorted(map(str, devices)))
        raise ConfigError(
            f"the weights are on {where}, and the monitor runs the program on one device",
            hint="Monitor the model where it fits on one.",
        )
    if any(hasattr(weight, "full_tensor") for weight in weights):
        raise ConfigError(
            "the weights are sharded, and no process has what a forward needs",
            hint="Monitor the model in a run that is not sharded, as with DistributedDataParallel.",
        )


def kept_loss(loss: object) -> Tensor | float | None:
    """Return a copy of a loss that nothing else holds; the device is not waited for.

    Raises:
        ConfigError: It is no number.
    """
    if isinstance(loss, Tensor):
        return loss.detach().float().mean()
    if loss is None:
        return None
    if isinstance(loss, SupportsFloat):
        with suppress(TypeError, ValueError, OverflowError):  # as an array of several numbers
            return float(loss)
    raise ConfigError(
        f"the loss of a step is a {class_name(loss)}, not a number or a tensor",
        hint="Write watch.step(loss, x, y), or None in its place.",
    )
