"""Everything that a training goes on from, in one file: it goes on as if it had never ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from scaleaudit.errors import WeightsError, described
from scaleaudit.reference.checkpoints import read_tensors, write_tensors
from scaleaudit.reference.trainer import Trainer
from scaleaudit.wire import read_json

_CARD = "scaleaudit.training"
_MODEL, _OPTIMISER, _RANDOM, _DEVICE, _LOSSES = "model.", "optimiser.", "random", "device", "losses"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a training has come.

    Attributes:
        step: Steps that were made; it says which text comes next, too.
        seconds: That they took.
        losses: Of the steps since the last line of metrics.
    """

    step: int = 0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()


def gathered_state(trainer: Trainer) -> dict[str, Tensor]:
    """Return weights and the optimiser's memory, whole; every process has to ask for them."""
    found = {f"{_MODEL}{name}": _whole(value) for name, value in trainer.named.items()}
    for name, weight in trainer.named.items():
        for key, value in trainer.optimiser.state[weight].items():
            found[f"{_OPTIMISER}{key}.{name}"] = _whole(value)
    found[_RANDOM] = torch.get_rng_state()
    if weight.is_cuda:
        found[_DEVICE] = torch.cuda.get_rng_state(weight.device)
    return found


def weights_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a state by the model's names."""
    return {
        name.removeprefix(_MODEL): value for name, value in state.items() if name.startswith(_MODEL)
    }


def save_state(path: Path, state: Mapping[str, Tensor], position: Position) -> None:
    """Write a state.

    Raises:
        WeightsError: It cannot be written.
    """
    losses = torch.tensor(position.losses, dtype=torch.float64)
    card = msgspec.json.encode(Position(position.step, position.seconds)).decode()
    write_tensors(path, {**state, _LOSSES: losses}, {_CARD: card})


def restore_state(path: Path, trainer: Trainer) -> Position:
    """Let a training go on from a state.

    Raises:
        WeightsError: It cannot be read, or is of another training.
    """
    state, metadata = read_tensors(path)
    try:
        position = read_json(metadata[_CARD], Position)
        with torch.no_grad():
            for name, weight in trainer.named.items():
                weight.copy_(_as(weight, state[f"{_MODEL}{name}"]))
                trainer.optimiser.state[weight] = {
                    key: _like(weight, state[f"{_OPTIMISER}{key}.{name}"])
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
        torch.set_rng_state(state[_RANDOM])
        if weight.is_cuda and _DEVICE in state:
            torch.cuda.set_rng_state(state[_DEVICE], weight.device)
        losses = tuple(state[_LOSSES].tolist())
    except (KeyError, RuntimeError, msgspec.DecodeError) as error:
        raise WeightsError(
            f"{path} is not what a training like this one left: {described(error)}",
            hint="Start anew in another folder with --out.",
        ) from error
    return Position(position.step, position.seconds, losses)


def _whole(value: Tensor) -> Tensor:
    found = value.full_tensor() if isinstance(value, DTensor) else value
    return found.detach().cpu().contiguous()


def _like(weight: Tensor, value: Tensor) -> Tensor:
    """Return what an optimiser remembers of a weight, where and as it keeps it."""
    return _as(weight, value) if value.dim() else value.to(weight.device)


def _as(weight: Tensor, value: Tensor) -> Tensor:
    moved = value.to(weight.device)
    if not isinstance(weight, DTensor):
        return moved
    return distribute_tensor(moved, weight.device_mesh, weight.placements)
