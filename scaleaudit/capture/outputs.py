"""The tensors in what a model returns, whatever holds them, and the loss among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import fx

from scaleaudit.capture.trace import Trace
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


@dataclasses.dataclass(frozen=True, slots=True)
class FoundLoss:
    """What an output holds for a loss.

    Attributes:
        name: What it is called in the output.
        note: What a reader of the verdict should know of the choice.
    """

    tensor: torch.Tensor | None
    name: str = ""
    note: Note | None = None


def find_loss(output: Any, node_of: Callable[[torch.Tensor], fx.Node], trace: Trace) -> FoundLoss:
    """Pick the loss from a model's output: a scalar with a gradient.

    Of several it is the one that the others are added up to, that is which most of them lead to;
    else the first.

    Args:
        node_of: Finds the node of a tensor.
        trace: What was recorded.
    """
    scalars = {
        name: tensor
        for name, tensor in named_tensors(output)
        if tensor.dim() == 0 and tensor.is_floating_point() and tensor.requires_grad
    }
    if not scalars:
        message = "the output holds no scalar with a gradient, so there is no loss"
        return FoundLoss(None, note=Note(NoteKind.LOSS, message))
    if len(scalars) == 1:
        ((name, tensor),) = scalars.items()
        return FoundLoss(tensor, name)
    nodes = {name: node_of(tensor) for name, tensor in scalars.items()}
    parts = {name: len(trace.ancestors(node) & set(nodes.values())) for name, node in nodes.items()}
    chosen = max(parts, key=lambda name: parts[name])  # the first of those with most
    others = ", ".join(scalars)
    note = Note(NoteKind.LOSS, f"of the scalars {others} in the output {chosen} is the loss")
    return FoundLoss(scalars[chosen], chosen, note)
