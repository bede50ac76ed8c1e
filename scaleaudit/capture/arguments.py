"""What a target is run on, by the names that its graph has for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from scaleaudit.capture import structures
from scaleaudit.capture.leaves import attributes, shown
from scaleaudit.capture.targets import Target
from scaleaudit.errors import ProbeError, class_name


def named_arguments(target: Target) -> list[tuple[str, Any]]:
    """Return what the target's loss is called with, else its forward, by the names of parameters."""
    if target.loss is not None:
        names = parameter_names(target.loss, len(target.loss_args) + 1)[1:]
        return list(zip(names, target.loss_args, strict=True))
    names = parameter_names(target.model.forward, len(target.args))
    return [*zip(names, target.args, strict=True), *target.kwargs.items()]


def named_inputs(target: Target) -> dict[str, torch.Tensor]:
    """Return every tensor among the arguments by its name in the graph; one given twice has one."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, value in named_arguments(target):
        for path, tensor in structures.tensors(value).items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found[shown(name + structures.shown(value, path))] = tensor
    return found


def named_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and buffers by their names in the graph; tied ones by all of them."""
    parameters = model.named_parameters(remove_duplicate=False)
    named = (*parameters, *model.named_buffers(remove_duplicate=False))
    return {shown(name): value for name, value in named}


def named_attributes(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return tensors that modules hold and have not registered, by their names in the graph."""
    return {shown(name): value for name, value in attributes(model)}


def with_batch(target: Target, batch: Any) -> Target:
    """Return the target as it is called with a batch.

    Args:
        batch: A tuple or list of arguments in order, a dict of them by name, or a single one.

    Raises:
        ProbeError: It is nothing that the target can be called with.
    """
    given = named_arguments(target)
    values = dict(given)
    count = len(target.loss_args if target.loss is not None else target.args)
    match batch:
        case Mapping() if batch and batch.keys() <= values.keys():
            return _called(target, [batch.get(name, value) for name, value in given], count)
        case tuple() | list() if len(batch) in (count, len(given)):
            rest = [value for _, value in given[len(batch) :]]
            return _called(target, [*batch, *rest], count)
        case torch.Tensor() | Mapping() if len(given) == 1:
            return _called(target, [batch], count)
    takes = ", ".join(values) or "nothing"
    what = f"a {class_name(batch)}"
    if isinstance(batch, (tuple, list)):
        what += f" of {len(batch)}"
    elif isinstance(batch, Mapping):
        what += f" with {', '.join(map(str, batch))}"
    raise ProbeError(
        f"the target's batches are {what}, and what is trained takes {takes}",
        where=str(target.path),
        hint='Let "batches" return an iterable of tuples shaped like loss_args, or of dicts by name.',
    )


def _called(target: Target, values: list[Any], count: int) -> Target:
    """Return a target with other arguments, which it keeps however it is built anew."""

    def rebuild(*, fake: bool) -> Target:
        return _called(target.rebuild(fake=fake), values, count)

    if target.loss is not None:
        return replace(target, loss_args=tuple(values), rebuild=rebuild)
    kwargs = dict(zip(target.kwargs, values[count:], strict=True))
    return replace(target, args=tuple(values[:count]), kwargs=kwargs, rebuild=rebuild)


def with_inputs(target: Target, inputs: Mapping[str, torch.Tensor]) -> Target:
    """Return the target as it is called with other tensors, by the names of ``named_inputs``."""
    new = {id(tensor): inputs[name] for name, tensor in named_inputs(target).items()}

    def changed(_: structures.Path, value: Any) -> Any:
        return new.get(id(value), value) if isinstance(value, torch.Tensor) else value

    values = [structures.mapped(value, changed) for _, value in named_arguments(target)]
    count = len(target.loss_args if target.loss is not None else target.args)
    return _called(target, values, count)


def parameter_names(function: Callable[..., Any] | None, count: int) -> list[str]:
    """Return names for positional arguments, as the function calls them."""
    try:
        found = list(inspect.signature(function).parameters.values()) if function else []
    except (TypeError, ValueError):
        found = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in found if parameter.kind in kinds]
    return [names[i] if i < len(names) else f"args[{i}]" for i in range(count)]
