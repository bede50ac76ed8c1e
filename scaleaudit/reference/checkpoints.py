"""Checkpoints of reference models: weights in safetensors, with what they are of in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scaleaudit.errors import WeightsError
from scaleaudit.files import check_file, replacing
from scaleaudit.reference.config import ReferenceConfig
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.wire import read_json

BYTES = "bytes"
"""The encoding of a model that reads bytes."""

_CARD = "scaleaudit.reference"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model's weights are of, beside its configuration.

    Attributes:
        step: Steps of training that they went through.
        seed: What drew their start and their batches.
        seen: Tokens of training, all steps and processes together.
        encoding: What turned text into tokens: "bytes", or the fingerprint of a vocabulary.
    """

    step: int = 0
    seed: int = 0
    seen: int = 0
    encoding: str = BYTES


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as training left it; the model is on the CPU, ready to be evaluated."""

    config: ReferenceConfig
    model: LoopedDecoder
    origin: Origin

    @property
    def step(self) -> int:
        """Steps of training that it went through."""
        return self.origin.step


@dataclass(frozen=True, slots=True)
class _Card:
    """What the metadata of a file says."""

    config: ReferenceConfig
    origin: Origin


def save_checkpoint(path: Path, model: LoopedDecoder, origin: Origin | None = None) -> None:
    """Write a model with its configuration; the file is there whole or not at all.

    Raises:
        WeightsError: It cannot be written.
    """
    save_weights(path, model.config, model.state_dict(), origin or Origin())


def save_weights(
    path: Path, config: ReferenceConfig, weights: Mapping[str, Tensor], origin: Origin
) -> None:
    """Write weights by name, as those of a model of this configuration.

    Raises:
        WeightsError: They cannot be written.
    """
    held = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    card = msgspec.json.encode(_Card(config, origin)).decode()
    write_tensors(path, held, {"format": "pt", _CARD: card})


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file in the place of what was there.

    Raises:
        WeightsError: It cannot be written.
    """
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WeightsError(
            f"cannot write {path}: {why}", hint="Is there room, and may it be written to?"
        ) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        check_file(path)
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  # no mapping
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is no whole safetensors file: {error}", hint="Copy or write it again."
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a model that ``save_checkpoint`` wrote; nothing in the file is run.

    Raises:
        WeightsError: It cannot be read, does not say what it is of, or is of something else.
    """
    weights, metadata = read_tensors(path)
    card = _card(path, metadata)
    model = _fitted(path, card.config, weights)
    return Checkpoint(card.config, model, card.origin)


def _card(path: Path, metadata: Mapping[str, str]) -> _Card:
    try:
        return read_json(metadata[_CARD], _Card)
    except (KeyError, msgspec.DecodeError, UnicodeEncodeError) as error:
        why = "is missing" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise WeightsError(
            f"{path} is no checkpoint of a reference model: its configuration {why}",
            hint="Give a checkpoint.safetensors that `scaleaudit train` wrote.",
        ) from error


def _fitted(path: Path, config: ReferenceConfig, weights: dict[str, Tensor]) -> LoopedDecoder:
    """Give a model its weights, which are looked at before any memory is taken for it."""
    # Every block has weights, so a number of blocks beyond that of weights is none to be built.
    if not (0 < config.size.layers <= len(weights) and config.turns > 0):
        raise _other(
            path,
            f"it says {config.size.layers} layers and {config.turns} turns, "
            f"and there are {len(weights)} weights",
        )
    try:
        with torch.device("meta"):
            model = LoopedDecoder(config)
        model.load_state_dict(weights, strict=True, assign=True)
    except (RuntimeError, ValueError, ZeroDivisionError) as error:
        raise _other(path, str(error).partition("\n")[2].strip() or str(error)) from error
    return model.float()


def _other(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"the weights in {path} are not those of its configuration: {why}",
        hint="Copy or write it again.",
    )
