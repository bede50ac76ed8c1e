"""States that a model makes itself, for the caller to hand in: what its methods return."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import torch
from torch import nn

from scaleaudit.capture.discovery.leaves import Leaf, Made, Plain, Slot
from scaleaudit.capture.discovery.signatures import Asked, asked, source_tree

# What only training does; a method that does it makes no argument.
TRAINING = frozenset({"backward", "step", "zero_grad"})


def add_made(model: nn.Module, slots: dict[Asked, Slot]) -> None:
    """Add to the menus what the model's own methods make, first where no tensor is asked for."""
    methods = list(_makers(model))
    for parameter, slot in slots.items():
        kind = parameter.kind
        plain = isinstance(kind, type) and issubclass(kind, (torch.Tensor, int, float, str))
        if plain:
            continue
        others = [other for other in slots.values() if other is not slot]
        made = [leaf for name, takes in methods for leaf in _made(name, others, takes=takes)]
        if isinstance(kind, type) and kind is not dict:
            slot.menu[:0] = made
        else:
            slot.menu.extend(made)
        slot.menu = slot.menu or [Plain("None")]


def _made(name: str, others: list[Slot], *, takes: bool) -> Iterator[Leaf]:
    if not takes:
        yield Made(name)
        return
    yield from (Made(name, other) for other in others)
    yield Made(name, "2")


def _makers(model: nn.Module) -> Iterator[tuple[str, bool]]:
    """Yield methods beside the forward that return something, and whether they take an argument."""
    for cls in type(model).__mro__:
        if cls is nn.Module:
            return
        for name, method in vars(cls).items():
            if not inspect.isfunction(method) or name.startswith("__") or name == "forward":
                continue
            required = [p for p in asked(method)[1:] if p.required]
            if len(required) <= 1 and returns(method):
                yield name, bool(required)


def returns(function: object) -> bool:
    """Tell whether a function returns something and does not train."""
    tree = source_tree(function) if callable(function) else None
    nodes = list(ast.walk(tree)) if tree is not None else []
    trains = any(isinstance(n, ast.Attribute) and n.attr in TRAINING for n in nodes)
    return not trains and any(isinstance(n, ast.Return) and n.value is not None for n in nodes)
