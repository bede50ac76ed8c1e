"""One recording: the target's call and its loss, run once in one world."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from scaleaudit.capture._torch_private import pytree
from scaleaudit.capture.api_calls import ApiCalls
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.outputs import find_loss, named_tensors
from scaleaudit.capture.places import Place
from scaleaudit.capture.reads import PLAIN, Variation
from scaleaudit.capture.recorder import Recorder
from scaleaudit.capture.surroundings import adopted, eager_and_plain, module_calls
from scaleaudit.capture.targets import Target
from scaleaudit.capture.trace import Trace
from scaleaudit.errors import CaptureError


@dataclass(slots=True)
class Recording:
    """A finished trace with the nodes of its results."""

    trace: Trace
    loss: fx.Node | None
    outputs: list[tuple[str, fx.Node]] = field(default_factory=list)
    made_up: set[fx.Node] = field(default_factory=set)
    escaped: bool = False


def record(
    target: Target,
    engine: Engine,
    variation: Variation = PLAIN,
    listen: Callable[[Callable[[Place | None], None]], None] | None = None,
) -> Recording:
    """Run a target's forward and loss once and record every operator.

    Args:
        listen: Given a function to tell where the operators to come are from, for programs
            that are run by someone else than their own code.

    Raises:
        CaptureError: The loss is no scalar. Errors of the user's code pass through.
    """
    recorder = Recorder(engine, target.model, sys._getframe(), variation)
    if listen is not None:
        listen(recorder.claim)
    with ExitStack() as stack:
        stack.enter_context(adopted(target.model, engine))
        recorder.names.add_model(target.model)
        args, kwargs = _inputs(recorder, engine, target)
        seen = stack.enter_context(_watched(target.model))
        stack.enter_context(eager_and_plain())
        stack.enter_context(module_calls(recorder.modules))
        stack.enter_context(recorder)
        stack.enter_context(ApiCalls(recorder, real=engine.exact))
        run: Callable[..., Any] = target.loss if target.loss is not None else target.model
        output = run(*args, **kwargs)
    return _finish(recorder, target, output, seen)


def _finish(recorder: Recorder, target: Target, output: Any, seen: list[Any]) -> Recording:
    reads = recorder.reads
    recording = Recording(recorder.trace, None, made_up=reads.unknown, escaped=bool(reads.escapes))
    if target.loss is not None:
        loss: torch.Tensor | None = _checked_loss(output)
    else:
        loss, note = find_loss(output)
        if note is not None:
            recorder.trace.note(note)
        seen = [output]
    if loss is not None:
        recording.loss = recorder.node_of(loss)
    for turn, returned in enumerate(seen):
        suffix = f" (call {turn + 1})" if len(seen) > 1 else ""
        for name, tensor in named_tensors(returned):
            if tensor is not loss:
                recording.outputs.append((name + suffix, recorder.node_of(tensor)))
    recorder.close()
    results = (recording.loss, tuple(node for _, node in recording.outputs))
    recorder.trace.graph.output(results)
    return recording


def _checked_loss(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise CaptureError(
            f"the loss returned {_description(value)}, not a scalar tensor",
            hint="return the tensor that you would call backward() on",
        )
    if value.numel() != 1 or not value.is_floating_point():
        raise CaptureError(
            f"the loss has shape {tuple(value.shape)} and type {value.dtype}, it is no scalar",
            hint="reduce it, as with .mean()",
        )
    return value


def _description(value: object) -> str:
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with the keys {', '.join(map(str, value))}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


@contextmanager
def _watched(model: torch.nn.Module) -> Iterator[list[Any]]:
    """Collect what the model returns."""
    seen: list[Any] = []
    handle = model.register_forward_hook(lambda *call: seen.append(call[-1]))
    try:
        yield seen
    finally:
        handle.remove()


def _inputs(
    recorder: Recorder, engine: Engine, target: Target
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Bring the arguments into the engine's world and declare them by their names."""
    if target.loss is None:
        names = _parameters(target.model.forward, len(target.args))
        given = (*zip(names, target.args, strict=True), *target.kwargs.items())
        values = [_declared(recorder, engine, name, value) for name, value in given]
        count = len(target.args)
        return tuple(values[:count]), dict(zip(target.kwargs, values[count:], strict=True))
    names = _parameters(target.loss, len(target.loss_args) + 1)[1:]
    values = [
        _declared(recorder, engine, *pair) for pair in zip(names, target.loss_args, strict=True)
    ]
    return (target.model, *values), {}


def _declared(recorder: Recorder, engine: Engine, name: str, value: Any) -> Any:
    """Declare every tensor of one argument."""
    leaves, spec = pytree.tree_flatten_with_path(value)
    found = [leaf for _, leaf in leaves]
    for index, (path, leaf) in enumerate(leaves):
        if isinstance(leaf, torch.Tensor):
            found[index] = engine.adopt(leaf)
            recorder.add_input(found[index], name + pytree.keystr(path))
    return pytree.tree_unflatten(found, spec)


def _parameters(function: Callable[..., Any] | None, count: int) -> list[str]:
    """Return names for positional arguments, as the function calls them."""
    try:
        found = list(inspect.signature(function).parameters.values()) if function else []
    except (TypeError, ValueError):
        found = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in found if parameter.kind in kinds]
    return [names[i] if i < len(names) else f"args[{i}]" for i in range(count)]
