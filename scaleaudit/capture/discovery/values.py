"""What a constructor's parameter may be given: settings that the file holds or can build."""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from scaleaudit.capture.discovery.classes import FileIndex
from scaleaudit.capture.discovery.signatures import asked, source_tree

_MOST = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """An expression of settings, and the names that it has entries or attributes for."""

    text: str
    names: frozenset[str]
    is_mapping: bool


def settings(index: FileIndex) -> list[Value]:
    """Return the objects of settings that a file holds, then those it can build of defaults."""
    return [*_held(index.module), *_built(index)]


def _held(module: types.ModuleType) -> Iterator[Value]:
    for name, value in vars(module).items():
        if not name.startswith("__"):
            yield from _value(name, value, depth=0)


def _value(text: str, value: Any, depth: int) -> Iterator[Value]:
    if isinstance(value, dict):
        keys = frozenset(key for key in value if isinstance(key, str))
        if keys:
            yield Value(text, keys, is_mapping=True)
        if depth == 0:
            for key, item in list(value.items())[:_MOST]:
                yield from _value(f"{text}[{key!r}]", item, depth + 1)
    elif _is_settings(value):
        yield Value(text, _attributes(value), is_mapping=isinstance(value, Mapping))


def _is_settings(value: Any) -> bool:
    if isinstance(value, (type, types.ModuleType, nn.Module)) or callable(value):
        return False
    return (
        isinstance(value, (types.SimpleNamespace, argparse.Namespace))
        or dataclasses.is_dataclass(value)
        or hasattr(value, "_fields")
        or (hasattr(value, "__dict__") and type(value).__module__ not in {"typing", "builtins"})
    )


def _attributes(value: Any) -> frozenset[str]:
    return frozenset(name for name in dir(value) if not name.startswith("__"))


def _built(index: FileIndex) -> Iterator[Value]:
    """Yield classes of settings that can be built without arguments."""
    for name, value in vars(index.module).items():
        if not isinstance(value, type) or issubclass(value, nn.Module):
            continue
        if _is_own(value, index) and not any(parameter.required for parameter in asked(value)):
            yield Value(f"{name}()", _class_names(value), is_mapping=issubclass(value, dict))


def _is_own(cls: type, index: FileIndex) -> bool:
    """Tell whether a class is of the file, or of a module that the user wrote."""
    if cls.__module__ == index.module.__name__:
        return True
    library = cls.__module__.split(".")[0]
    return library not in {"torch", "builtins", "typing", "enum", "abc", "pathlib", "collections"}


def _class_names(cls: type) -> frozenset[str]:
    """Return the attributes that instances of a class have, as its source and fields tell."""
    found = {name for name in dir(cls) if not name.startswith("__")}
    for base in cls.__mro__[:-1]:
        found.update(vars(base).get("__annotations__", {}))
        tree = source_tree(base) if base.__module__ != "builtins" else None
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    with contextlib.suppress(TypeError, ValueError):
        found.update(inspect.signature(cls).parameters)
    return frozenset(found)


def names_read(cls: type, parameter: str) -> frozenset[str]:
    """Return the attributes and keys that a class's code reads of a constructor's parameter.

    Both of the parameter itself and of the attribute that the constructor keeps it in.
    """
    found: set[str] = set()
    for base in cls.__mro__:
        if base is nn.Module:
            break
        tree = source_tree(base)
        if tree is None:
            continue
        kept = {parameter, *_kept_as(tree, parameter)}
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=holder, attr=name) if _named(holder) in kept:
                    found.add(name)
                case ast.Subscript(value=holder, slice=ast.Constant(value=str(name))):
                    if _named(holder) in kept:
                        found.add(name)
                case _:
                    pass
    return frozenset(found)


def _kept_as(tree: ast.AST, parameter: str) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Attribute() as target], value=ast.Name(id=name)):
                if name == parameter:
                    yield _named(target)
            case _:
                pass


def _named(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
        case _:
            return ""
