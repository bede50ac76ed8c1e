"""Checkpoints that cannot be read or do not fit, and processes that do not meet."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from cases import Case
from safetensors.torch import save
from torch import distributed, nn

from scaleaudit.probe.group import Group, gathered
from scaleaudit.weights.fitting import load_weights

_LAUNCHED = {
    "TORCHELASTIC_RUN_ID": "1",
    "TORCHELASTIC_USE_AGENT_STORE": "False",
    "RANK": "0",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "0",
}


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix = nn.Embedding(3, 2), nn.Linear(2, 2)
        self.head = nn.Linear(2, 3, bias=False)
        self.head.weight = self.embed.weight


def _weights(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """The weights of the model, some changed, or left out where None."""
    found = _Tied().state_dict() | {
        name.replace("_", "."): value for name, value in changes.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _load(file: str) -> None:
    load_weights(Path(file), _Tied())


def _saved(held: object) -> None:
    torch.save(held, "saved.pt")
    _load("saved.pt")


def _index(places: object) -> None:
    Path("model.safetensors.index.json").write_text(json.dumps(places))
    _load("model.safetensors.index.json")


def _renamed() -> None:
    _saved({**_weights(mix_weight=None), "mux.weight": torch.ones(2, 2)})


def _special() -> None:
    os.mkfifo("saved.pt")
    _load("saved.pt")


def _apart() -> None:
    """Processes of which the others never come."""
    with (
        patch.dict(os.environ, _LAUNCHED),
        patch.object(distributed, "TCPStore", return_value=distributed.HashStore()),
        patch.object(distributed, "init_process_group", side_effect=RuntimeError("timed out")),
        gathered("run", torch.device("cpu")),
    ):
        pass


def _alone() -> None:
    """Processes of which the others have ended."""
    with patch.object(distributed, "all_reduce", side_effect=RuntimeError("connection closed")):
        Group(0, 2).mean(1.0)


def _undivided() -> None:
    Group(0, 2).share({"tokens": torch.ones(3, 4)})


def cases() -> Iterator[Case]:
    """Return every case."""
    parts = {"part.safetensors": save({"mix.bias": torch.ones(2)})}
    yield Case("weights_in_a_folder", partial(_load, "."), {"saved.pt": b""})
    yield Case("weights_missing", partial(_load, "runs/saved.pt"))
    yield Case("weights_special", _special)
    yield Case("weights_cut_short", partial(_load, "a"), {"a": parts["part.safetensors"][:-2]})
    yield Case("weights_of_text", partial(_load, "a"), {"a": "weights"})
    yield Case("weights_empty", partial(_load, "a"), {"a": ""})
    yield Case("weights_with_code", partial(_saved, nn.Linear(2, 2)))
    yield Case("weights_without_names", partial(_saved, [torch.ones(2)]))
    yield Case("weights_of_other_shape", partial(_saved, _weights(mix_bias=torch.ones(3))))
    yield Case("weights_renamed", _renamed)
    yield Case("weights_untied", partial(_saved, _weights(head_weight=torch.ones(3, 2))))
    yield Case("index_of_nothing", partial(_index, []))
    for name, place in (("elsewhere", "../part.safetensors"), ("of_others", "part.safetensors")):
        yield Case(f"index_{name}", partial(_index, {"weight_map": {"mix.weight": place}}), parts)
    yield Case("processes_apart", _apart)
    yield Case("processes_gone", _alone)
    yield Case("processes_undivided", _undivided)
