"""Where training and measuring run."""

from __future__ import annotations

import torch

from scaleaudit.errors import ConfigError


def chosen(name: str) -> torch.device:
    """Return the device of a name; "auto" takes the fastest that is there.

    Raises:
        ConfigError: It is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, found in there.items() if found), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"there is no device {name!r}", hint=_DEVICES) from None
    if device.type == "cuda" and there["cuda"] and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(f"there is no device {name}: {count} of its kind are here", hint=_DEVICES)
    if device.type != "cpu" and not there.get(device.type, False):
        built = "" if device.type != "cuda" or torch.version.cuda else ", and torch has no CUDA"
        raise ConfigError(f"there is no {device.type} device here{built}", hint=_DEVICES)
    return device


def described(device: torch.device) -> str:
    """Return what to call a device in a report."""
    version = f"torch {torch.__version__}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {version}, CUDA {torch.version.cuda}"
    return f"{device.type}, {version}, {torch.get_num_threads()} threads"


_DEVICES = "Give --device auto, cpu, cuda or mps."
