"""The tensors in what a model returns, whatever holds them, and the loss among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from scaleaudit.domain.graph import Note, NoteKind

_DEPTH = 6


def named_tensors(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a structure with a readable name: "logits", "output[0]"."""
    if isinstance(value, torch.Tensor):
        yield name or "output", value
    elif depth < _DEPTH:
        for part, item in _parts(value, name):
            yield from named_tensors(item, part, depth + 1)


def _parts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        fields: Any = value.items()
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = zip(value._fields, value, strict=True)
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name or 'output'}[{i}]", item) for i, item in enumerate(value))
        return
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
    elif hasattr(value, "__dict__") and not isinstance(value, (type, torch.nn.Module)):
        fields = vars(value).items()
    else:
        return
    for key, item in fields:
        yield (f"{name}.{key}" if name else str(key)), item


def find_loss(output: Any) -> tuple[torch.Tensor | None, Note | None]:
    """Pick the loss from a model's output: its only scalar, else the one kept as ``loss``."""
    scalars = [
        (name, tensor)
        for name, tensor in named_tensors(output)
        if tensor.dim() == 0 and tensor.is_floating_point()
    ]
    if not scalars:
        return None, Note(NoteKind.LOSS, "the output holds no scalar, so there is no loss")
    if len(scalars) == 1:
        return scalars[0][1], None
    named = [tensor for name, tensor in scalars if name.rsplit(".", 1)[-1] == "loss"]
    chosen = named[0] if named else scalars[0][1]
    name = next(name for name, tensor in scalars if tensor is chosen)
    others = ", ".join(other for other, _ in scalars)
    return chosen, Note(NoteKind.LOSS, f"of the scalars {others} in the output {name} is the loss")
