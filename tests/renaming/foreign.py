"""Names that belong to Python, to torch or to the audit, and that no project may give away."""

from __future__ import annotations

import argparse
import builtins
import collections
import enum
import functools
import inspect
import pathlib
import types
from collections.abc import Iterable

import torch
from torch import nn

# What a declaration is made of.
DECLARATION = frozenset({"model", "args", "kwargs", "loss", "loss_args", "batches"})
BUILTINS = frozenset(dir(builtins))


# What only instances have: dir() of the class does not show it.
_SAMPLES = (
    *(nn.Linear(1, 1), nn.LayerNorm(1), nn.RMSNorm(1), nn.Embedding(1, 1), nn.Conv2d(1, 1, 1)),
    *(nn.LSTM(1, 1), nn.GRUCell(1, 1), nn.MultiheadAttention(1, 1), nn.BatchNorm1d(1)),
    *(nn.GroupNorm(1, 1), torch.Generator(), nn.Dropout(0.1)),
    argparse.ArgumentParser(),
)


def attributes() -> frozenset[str]:
    """Return every attribute that an object from outside of a project is known to have."""
    layers = (each for each in vars(nn).values() if isinstance(each, type))
    results = (each for each in vars(torch.return_types).values() if isinstance(each, type))
    owners: Iterable[object] = (
        *(torch.Tensor, torch.Size, torch.dtype, torch.finfo, torch.autograd.function.FunctionCtx),
        *(torch.optim.Optimizer, torch.optim.AdamW, enum.Enum, pathlib.Path, inspect.Parameter),
        *(object, str, bytes, list, dict, tuple, set, int, float, complex, Exception),
        *(collections.deque, types.FunctionType, types.ModuleType, functools.partial),
        *layers,
        *results,
        *_SAMPLES,
    )
    return frozenset(name for owner in owners for name in members(owner))


def members(owner: object) -> set[str]:
    """Return the attributes of an object or class, also those that are only annotated."""
    return {*dir(owner), *getattr(owner, "__annotations__", {})}


def keywords() -> frozenset[str]:
    """Return every name that a callable outside of a project takes by keyword."""
    functions = [
        *(each for each in vars(nn.functional).values() if callable(each)),
        *(each for each in vars(nn).values() if isinstance(each, type)),
        *(each.forward for each in vars(nn).values() if hasattr(each, "forward")),
    ]
    found = {name for function in functions for name in _parameters(function)}
    schemas = torch._C._jit_get_all_schemas()
    of_operators = {argument.name for schema in schemas for argument in schema.arguments}
    return frozenset(found | of_operators | OPTIONS | {"dtype", "device", "requires_grad"})


def options() -> frozenset[str]:
    """Return the keys of the dicts that optimisers and their schedulers are given."""
    optimizers = (each for each in vars(torch.optim).values() if isinstance(each, type))
    found = {name for each in optimizers for name in _parameters(each)}
    return frozenset({*found, "params", "optimizer", "lr_scheduler"})


def _parameters(function: object) -> Iterable[str]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()


ATTRIBUTES = attributes()
METHODS = frozenset(name for name in ATTRIBUTES if callable(getattr(torch.Tensor, name, None)))
OPTIONS = options()
KEYWORDS = keywords()
