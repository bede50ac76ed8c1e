"""Modules that are built alike: what takes the place of one's tensors in the other."""

from __future__ import annotations

from collections import OrderedDict, deque
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import torch

from scaleaudit.capture.reachable import PLAIN, Reach, fixed_parts, is_settled, same


def counterparts(one: Reach, other: Reach) -> Counterparts | None:
    """Return what takes the place of tensors and modules elsewhere, if all else is alike.

    Layers of a stack are built alike: their code sees other weights of the same shapes, and
    nothing else that differs.
    """
    found = Counterparts()
    if one.knows_itself or other.knows_itself or len(one.watched) != len(other.watched):
        return None
    if not found.add(one.root, other.root):
        return None
    for (_, mine), (_, theirs) in zip(one.watched, other.watched, strict=True):
        if len(mine) != len(theirs) or not all(map(found.add, mine, theirs)):
            return None
    return found


class Counterparts:
    """Pairs of things that two modules reach in the same way.

    Attributes:
        tensors: From the identity of a tensor to the other's.
        modules: Modules that are not the same.
    """

    def __init__(self) -> None:
        self.tensors: dict[int, torch.Tensor] = {}
        self.modules: list[tuple[torch.nn.Module, torch.nn.Module]] = []
        self._pairs: dict[int, Any] = {}
        self._taken: dict[int, Any] = {}

    def add(self, one: Any, other: Any) -> bool:
        """Add a pair; tell whether code that sees one could not tell it from the other."""
        kind = type(one)
        if kind in PLAIN:
            return same(one, other)
        if id(one) in self._pairs or id(other) in self._taken:
            return self._pairs.get(id(one)) is other and self._taken.get(id(other)) is one
        self._pairs[id(one)], self._taken[id(other)] = other, one
        return one is other or (kind is type(other) and self._are_alike(one, other))

    def _are_alike(self, one: Any, other: Any) -> bool:
        """Compare what is looked into later: there, what it holds is held against the other."""
        match one:
            case torch.Tensor():
                self.tensors[id(one)] = other
                return form(one) == form(other)
            case torch.nn.Module():
                self.modules.append((one, other))
                return True
            case set() | frozenset():  # in no order
                return bool(one == other) and all(type(item) in PLAIN for item in one)
            case _:
                return _are_of_one_make(one, other) and self._are_made_alike(one, other)

    def _are_made_alike(self, one: Any, other: Any) -> bool:
        parts, theirs = fixed_parts(one), fixed_parts(other)
        if parts is None or theirs is None:
            return not is_settled(one)
        mine, yours = tuple(parts), tuple(theirs)
        return len(mine) == len(yours) and all(map(self.add, mine, yours))


def _are_of_one_make(one: Any, other: Any) -> bool:
    """Tell whether code is the same, and containers have no default or length besides."""
    match one:
        case FunctionType():
            return one.__code__ is other.__code__
        case BuiltinFunctionType():
            return bool(one.__qualname__ == other.__qualname__)
        case dict() | deque():
            return type(one) in (dict, OrderedDict)
        case _:
            return not isinstance(one, (type, CodeType))


def form(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Return what code can see of a tensor but for its value."""
    flags = type(tensor), tensor.requires_grad, tensor.is_leaf
    return tensor.shape, tensor.stride(), tensor.dtype, *flags
