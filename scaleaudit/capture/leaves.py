"""The tensors that a program starts from: inputs, parameters, buffers, constants."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from scaleaudit.domain.graph import NodeKind

# Where an exported program keeps the user's model.
EXPORTED = "program.model."


class LeafNames:
    """Know the name of every tensor that the model or the call brings along."""

    def __init__(self) -> None:
        self._named: dict[int, tuple[NodeKind, str]] = {}
        self._held: list[torch.Tensor] = []
        self._weights: dict[int, int] = {}
        self._foreign = 0

    def add_model(self, model: torch.nn.Module) -> None:
        """Name the tensors of a model."""
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self.add(parameter, NodeKind.PARAMETER, name)
        for name, buffer in model.named_buffers(remove_duplicate=False):
            self.add(buffer, NodeKind.BUFFER, name)
        for name, tensor in attributes(model):
            self.add(tensor, NodeKind.CONSTANT, name)

    def add(self, tensor: torch.Tensor, kind: NodeKind, name: str) -> None:
        """Give a tensor a name; the first one given stays."""
        self._named.setdefault(id(tensor), (kind, shown(name)))
        self._held.append(tensor)

    def of(self, tensor: torch.Tensor) -> tuple[NodeKind, str]:
        """Return the kind and the name of a tensor; one that learns is a parameter, wherever it is kept.

        Such a one that is none of the model's, as the weights of a loss, is given a name here.
        """
        found = self._named.get(id(tensor))
        if found is not None:
            return found
        if isinstance(tensor, torch.nn.Parameter) or (tensor.requires_grad and tensor.is_leaf):
            self._foreign += 1
            number = f" {self._foreign}" if self._foreign > 1 else ""
            self.add(tensor, NodeKind.PARAMETER, f"parameter{number}")
            return self._named[id(tensor)]
        return NodeKind.CONSTANT, "constant"

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Tell whether a tensor has a name already."""
        return id(tensor) in self._named

    def weight(self, memory: int) -> int:
        """Return the identity of a parameter's memory; tied parameters share it."""
        return self._weights.setdefault(memory, len(self._weights) + 1)


def shown(name: str) -> str:
    """Return a name as the user knows it, without what compiling and exporting put around."""
    return name.replace("_orig_mod.", "").removeprefix(EXPORTED)


def attributes(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors kept as plain attributes of modules."""
    for path, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                yield (f"{path}.{key}" if path else key), value
