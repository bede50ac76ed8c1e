"""Writes turned into values: the functional twin of every in-place operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from scaleaudit.capture._torch_private import OpOverload, overloads, schema
from scaleaudit.capture.schemas import ArgumentInfo, OpInfo, op_info
from scaleaudit.domain.graph import TensorMeta


@dataclass(frozen=True, slots=True)
class ViewStep:
    """One view operator on the way from a whole tensor to a part of it.

    Attributes:
        op: As ``aten.select.int``.
        args: Its arguments but for the tensor.
        output: Which of its outputs, None where there is but one.
        outputs: What it yields.
    """

    op: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]
    output: int | None
    outputs: tuple[TensorMeta, ...]

    def plain(self) -> tuple[Any, ...]:
        """Return the step as nested tuples, which a graph can hold as an argument."""
        return (self.op, self.args, self.kwargs, self.output)


@dataclass(frozen=True, slots=True)
class Operands:
    """The arguments of a call, as tensors and as the nodes of what they hold.

    Attributes:
        nodes: ``args`` with nodes for tensors and for numbers that were read.
        named: The same of ``kwargs``.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    nodes: tuple[Any, ...]
    named: Mapping[str, Any]


def flat(out: Any) -> list[Any]:
    """Return the values in nested lists, without the Nones."""
    if isinstance(out, (tuple, list)):
        return [leaf for item in out for leaf in flat(item)]
    return [] if out is None else [out]


def written_tensors(
    info: OpInfo, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[torch.Tensor]:
    """Return the tensors that a call writes to."""
    given = dict(zip((argument.name for argument in info.arguments), args, strict=False)) | dict(
        kwargs
    )
    values = [given.get(argument.name) for argument in info.arguments if argument.written]
    return [leaf for leaf in flat(values) if isinstance(leaf, torch.Tensor)]


def write_view(base: torch.Tensor, value: torch.Tensor, steps: tuple[Any, ...]) -> torch.Tensor:
    """Return a copy of ``base`` whose part that ``steps`` lead to holds ``value``."""
    whole = base.clone()
    part = whole
    for name, args, kwargs, output in steps:
        part = resolve(name)(part, *args, **dict(kwargs))
        part = part if output is None else part[output]
    part.copy_(value)
    return whole


def run_on_copies(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Run an in-place operator that has no functional form on copies of what it writes.

    Returns:
        The written tensors in schema order, then what the operator returns besides.
    """
    op = resolve(name)
    infos = op_info(op).arguments
    given = dict(zip((info.name for info in infos), args, strict=False)) | kwargs
    written = [info.name for info in infos if info.written]
    for key in written:
        value = given[key]
        given[key] = [v.clone() for v in value] if isinstance(value, list) else value.clone()
    result = op(**given)
    results = result if isinstance(result, tuple) else (result,)
    aliases = op_info(op).returns
    fresh = [value for value, alias in zip(results, aliases, strict=False) if not alias]
    return (*(given[key] for key in written), *fresh)


@cache
def resolve(name: str) -> OpOverload:
    """Return the operator of a name like ``aten.add.Tensor``."""
    namespace, base, overload = name.split(".")
    found: OpOverload = getattr(getattr(getattr(torch.ops, namespace), base), overload)
    return found


@cache
def functional_form(op: OpOverload) -> OpOverload | None:
    """Return the overload that computes what an in-place or ``out=`` overload writes.

    It takes the same arguments, less an ``out`` that is only written to.
    """
    found = schema(op)
    name = found.name
    if name.endswith("_") and not name.endswith("__"):
        wanted = _signature(op_info(op).arguments)
        return _matching(name[:-1], wanted)
    kept = tuple(info for info in op_info(op).arguments if not info.written)
    return _matching(name, _signature(kept))


def _matching(name: str, wanted: tuple[tuple[str, str], ...]) -> OpOverload | None:
    for candidate in overloads(name):
        info = op_info(candidate)
        if not info.writes and not info.views and _signature(info.arguments) == wanted:
            return candidate
    return None


def _signature(arguments: tuple[ArgumentInfo, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((info.name, info.type) for info in arguments)
