"""What a module is called with, such that equal calls make it do the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import fx

from scaleaudit.capture import structures
from scaleaudit.capture._torch_private import storage_key
from scaleaudit.capture.counterparts import form
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.memory import Memory
from scaleaudit.capture.reachable import PLAIN

# How deep arguments are looked into.
_DEPTH = 5

Key: TypeAlias = tuple[Any, ...]
# A tensor, and the node of what it holds.
Held: TypeAlias = tuple[torch.Tensor, fx.Node]


class Signature:
    """What a call is given, such that equal ones make modules do the same.

    Attributes:
        given: The tensors among the arguments in order, with the nodes of what they hold.
        others: Objects among them that are the same ones or not, and classes of those taken apart.
    """

    def __init__(self, memory: Memory, engine: Engine) -> None:
        self._memory = memory
        self._engine = engine
        self._nodes: dict[fx.Node, int] = {}
        self._memories: dict[int, int] = {}
        self.given: list[Held] = []
        self.others: list[Any] = []

    def of(self, arguments: Any) -> Key | None:
        """Return the signature; None where something is given that may change unseen."""
        found: list[Any] = []
        return tuple(found) if self._add(arguments, found, 0) else None

    def _add(self, value: Any, found: list[Any], depth: int) -> bool:
        kind = type(value)
        if kind in PLAIN:
            found.append((kind, value))
            return True
        if isinstance(value, torch.Tensor):
            return self._tensor(value, found)
        if not is_record(value):
            self.others.append(value)
            found.append(id(value))
            return True
        if depth > _DEPTH:
            return False
        self.others.append(kind)
        parts = structures.parts(value)
        found.append((kind, len(parts)))
        return all(
            self._add(key, found, depth + 1) and self._add(item, found, depth + 1)
            for key, item in parts
        )

    def _tensor(self, tensor: torch.Tensor, found: list[Any]) -> bool:
        node = self._memory.peek(tensor) if self._engine.is_plain(tensor) else None
        if node is None:
            return False
        same = self._nodes.setdefault(node, len(self.given))
        shared = self._memories.setdefault(storage_key(tensor), len(self.given))
        self.given.append((tensor, node))
        found.append((same, shared, *form(tensor)))
        return True


def is_record(value: object) -> bool:
    """Tell whether a value is what it holds, and nothing besides."""
    if type(value) in (tuple, list, dict) or structures.is_named(value):
        return True
    if not dataclasses.is_dataclass(value) or isinstance(value, (type, Mapping, list, tuple)):
        return False
    fields = {each.name for each in dataclasses.fields(value)}
    return hasattr(value, "__dict__") and vars(value).keys() == fields
