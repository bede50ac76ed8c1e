"""Tensors inside whatever holds them: tuples, dicts, dataclasses, objects with attributes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

import torch

# Steps from a structure to a part of it: positions, keys, names of fields.
Key: TypeAlias = Any
Path: TypeAlias = tuple[Key, ...]

_DEPTH = 6


def parts(value: Any) -> list[tuple[Key, Any]]:
    """Return what a structure holds by key; nothing for a tensor and other single values."""
    if isinstance(value, (torch.Tensor, torch.nn.Module, type)):
        return []
    if isinstance(value, Mapping):
        return list(value.items())
    if is_named(value):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    return list(vars(value).items()) if hasattr(value, "__dict__") and not callable(value) else []


def is_named(value: Any) -> bool:
    """Tell whether a value is a named tuple."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def subtrees(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield a structure and all that it holds, the outer before the inner."""
    yield path, value
    if len(path) < _DEPTH:
        for key, item in parts(value):
            yield from subtrees(item, (*path, key))


def tensors(value: Any) -> dict[Path, torch.Tensor]:
    """Return every tensor of a structure by its path."""
    return {path: item for path, item in subtrees(value) if isinstance(item, torch.Tensor)}


def at(value: Any, path: Path) -> Any:
    """Return the part of a structure at the end of a path.

    Raises:
        KeyError: There is none.
    """
    for key in path:
        value = dict(parts(value))[key]
    return value


def mapped(value: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """Return a structure with parts replaced; what stays the same is not copied.

    Args:
        change: Given the path and the part, the outer before the inner; returns the part itself
            where it stays and its own parts are to be asked for.
    """
    found = change(path, value)
    if found is not value or len(path) >= _DEPTH:
        return found
    changed = {
        key: new
        for key, item in parts(value)
        if (new := mapped(item, change, (*path, key))) is not item
    }
    return _with(value, changed) if changed else value


def _with(value: Any, changed: Mapping[Key, Any]) -> Any:
    """Return a copy of a structure with some of its parts replaced."""
    if is_named(value):
        return value._replace(**changed)
    if isinstance(value, (list, tuple)):
        return type(value)(changed.get(key, item) for key, item in enumerate(value))
    found = copy.copy(value)
    for key, item in changed.items():
        if isinstance(found, MutableMapping):
            found[key] = item
        else:
            object.__setattr__(found, key, item)  # frozen dataclasses too
    return found


def shown(value: Any, path: Path) -> str:
    """Return a path as Python would write it behind a structure's name: ``.low[0]['x']``."""
    text = ""
    for key in path:
        is_item = isinstance(value, Mapping) or isinstance(key, int)
        text += f"[{key!r}]" if is_item else f".{key}"
        value = dict(parts(value))[key]
    return text
