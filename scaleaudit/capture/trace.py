"""What a recording leaves behind: an executable graph and a table beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from scaleaudit.capture.places import Place
from scaleaudit.domain.graph import NodeKind, Note, TensorMeta


@dataclass(slots=True)
class Origin:
    """Where a graph node came from, and what it yields.

    Attributes:
        kind: CALL, or which leaf it is.
        name: The name of a leaf in the model.
        weight: For parameters, what tied ones share.
        value: For leaves, the value where it is known.
        silent: Whether it is no doing of the user's, and may be dropped where nothing reads it.
        names: Local variables that held the value, as (depth, function, variable).
    """

    place: Place
    site: str
    grad: bool
    outputs: tuple[TensorMeta, ...]
    kind: NodeKind = NodeKind.CALL
    name: str = ""
    weight: int | None = None
    value: torch.Tensor | None = None
    silent: bool = False
    names: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """A recorded program.

    Attributes:
        items: For a node that picks one output of a call: the call and the output's number.
        notes: In the order in which things were noticed.
    """

    graph: fx.Graph
    origins: dict[fx.Node, Origin] = field(default_factory=dict)
    items: dict[fx.Node, tuple[fx.Node, int]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def note(self, note: Note) -> None:
        """Add a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def origin(self, node: fx.Node) -> Origin:
        """Return where a value came from, picked outputs included."""
        return self.origins[self.items.get(node, (node, 0))[0]]


def dtype_name(dtype: torch.dtype) -> str:
    """Return 'float32' for torch.float32."""
    return str(dtype).removeprefix("torch.")


def tensor_meta(tensor: torch.Tensor, value: torch.Tensor | None = None) -> TensorMeta:
    """Describe a tensor, with the range of its value where that is known."""
    low, high = bounds(value)
    return TensorMeta(tuple(int(n) for n in tensor.shape), dtype_name(tensor.dtype), low, high)


def number_meta(value: object) -> TensorMeta:
    """Describe a Python number as a tensor without dimensions."""
    match value:
        case bool():
            return TensorMeta((), "bool")
        case int():
            return TensorMeta((), "int64")
        case complex():
            return TensorMeta((), "complex128")
        case _:
            return TensorMeta((), "float64")


def bounds(value: torch.Tensor | None) -> tuple[float | None, float | None]:
    """Return the smallest and the largest element, None where they say nothing."""
    if value is None or not value.numel() or value.is_complex():
        return None, None
    plain: Any = value.detach().to(torch.float64)
    low, high = float(plain.min()), float(plain.max())
    return (None, None) if math.isnan(low) or math.isnan(high) else (low, high)
