"""What a function asks for: its parameters, their types, and what its source reads from them."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A parameter of a function.

    Attributes:
        kind: Its type where that is annotated and known, else None.
        keys: Strings by which the source takes parts of it, in order.
        maybe: Of those, the ones that it asks for with care: ``get``, ``in``.
        attributes: Attributes that the source reads of it and no tensor has.
        called: Whether the source calls it.
    """

    name: str
    required: bool
    default: Any = None
    kind: Any = None
    by_keyword: bool = False
    variadic: bool = False
    keys: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    called: bool = False


@dataclass(slots=True)
class _Reads:
    keys: dict[str, None] = field(default_factory=dict)
    maybe: dict[str, None] = field(default_factory=dict)
    attributes: dict[str, None] = field(default_factory=dict)
    called: bool = False


def asked(function: Callable[..., Any]) -> tuple[Asked, ...]:
    """Return the parameters of a function, bound arguments left out."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()
    kinds, reads = _kinds(function), _reads(function)
    return tuple(
        _asked(parameter, kinds, reads)
        for parameter in parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    )


def _asked(
    parameter: inspect.Parameter, kinds: Mapping[str, Any], reads: Mapping[str, _Reads]
) -> Asked:
    read = reads.get(parameter.name, _Reads())
    variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
    return Asked(
        parameter.name,
        required=parameter.default is parameter.empty and not variadic,
        default=None if parameter.default is parameter.empty else parameter.default,
        kind=kinds.get(parameter.name),
        by_keyword=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        variadic=variadic,
        keys=tuple(read.keys),
        maybe=tuple(read.maybe),
        attributes=tuple(read.attributes),
        called=read.called,
    )


def _kinds(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Resolve annotations; what does not resolve is no help."""
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    try:
        return typing.get_type_hints(target)
    except Exception:  # noqa: BLE001 - annotations may name what was never imported
        return {}


def source_tree(function: Callable[..., Any]) -> ast.AST | None:
    """Parse the source of a function or class."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


def _reads(function: Callable[..., Any]) -> Mapping[str, _Reads]:
    tree = source_tree(function)
    found: dict[str, _Reads] = {}
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                found.setdefault(name, _Reads()).keys[key] = None
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"),
                args=[ast.Constant(value=str(key)), *_],
            ):
                found.setdefault(name, _Reads()).maybe[key] = None
            case ast.Compare(
                left=ast.Constant(value=str(key)),
                ops=[ast.In() | ast.NotIn()],
                comparators=[ast.Name(id=name)],
            ):
                found.setdefault(name, _Reads()).maybe[key] = None
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if not _is_usual(attribute):
                found.setdefault(name, _Reads()).attributes[attribute] = None
            case ast.Call(func=ast.Name(id=name)):
                found.setdefault(name, _Reads()).called = True
            case _:
                pass
    return found


def _is_usual(attribute: str) -> bool:
    return hasattr(torch.Tensor, attribute) or hasattr(dict, attribute) or hasattr(list, attribute)
