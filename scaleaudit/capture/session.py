"""One recording: the target's call and its loss, run once in one world."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from scaleaudit.capture import structures
from scaleaudit.capture.api_calls import ApiCalls
from scaleaudit.capture.arguments import named_arguments
from scaleaudit.capture.draws import seeded
from scaleaudit.capture.engines import Engine
from scaleaudit.capture.functions import noted_by
from scaleaudit.capture.handovers import Handover, ModelCall, handed_over
from scaleaudit.capture.outputs import FoundLoss, find_loss, named_tensors
from scaleaudit.capture.reads import PLAIN, Variation
from scaleaudit.capture.recalls import recalling
from scaleaudit.capture.recorder import Recorder
from scaleaudit.capture.surroundings import adopted, eager_and_plain, module_calls
from scaleaudit.capture.targets import Target
from scaleaudit.capture.trace import Trace
from scaleaudit.capture.unseen import launches_told
from scaleaudit.domain.graph import Note, NoteKind
from scaleaudit.errors import CaptureError


@dataclass(slots=True)
class Recording:
    """A finished trace with the nodes of its results.

    Attributes:
        made_up: Nodes of numbers that were made up.
        escaped: Whether such a number went on out of sight.
        calls: The calls of the model, in order.
        drew: Whether numbers were drawn at random that no tensor shows.
        loss_name: What the loss is called in the output, where it was found there.
    """

    trace: Trace
    loss: fx.Node | None
    outputs: list[tuple[str, fx.Node]] = field(default_factory=list)
    made_up: set[fx.Node] = field(default_factory=set)
    escaped: bool = False
    calls: list[ModelCall] = field(default_factory=list)
    drew: bool = False
    loss_name: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a program is recorded.

    Attributes:
        variation: What numbers are made up.
        handovers: What one call of the model hands to the next.
        runs: How often the target's call is made.
        seed: Of random numbers.
        recalls: Whether calls that repeat others are recalled, not run.
    """

    variation: Variation = PLAIN
    handovers: tuple[Handover, ...] = ()
    runs: int = 1
    seed: int = 0
    recalls: bool = False


PLAINLY = Manner()
# The modes and the global hooks of capture itself: recorder and API calls, before and after a module.
_WATCHERS = 4


def record(target: Target, engine: Engine, manner: Manner = PLAINLY) -> Recording:
    """Run a target's forward and loss and record every operator.

    Raises:
        CaptureError: The loss is no scalar. Errors of the user's code pass through.
    """
    recorder = Recorder(engine, target.model, sys._getframe(), manner.variation)
    for text in target.assumed:
        recorder.trace.note(Note(NoteKind.OTHER, text))
    if target.listen is not None:
        target.listen(recorder.claim)
    with ExitStack() as stack:
        stack.enter_context(adopted(target.model, engine))
        recorder.names.add_model(target.model)
        arguments = _inputs(recorder, engine, target)
        calls = stack.enter_context(_watched(target.model, recorder, manner.handovers))
        draws = stack.enter_context(seeded(manner.seed, target.model))
        stack.enter_context(eager_and_plain())
        stack.enter_context(engine.movable())
        stack.enter_context(module_calls(recorder.modules))
        stack.enter_context(recorder)
        stack.enter_context(ApiCalls(recorder, real=engine.exact))
        stack.enter_context(noted_by(recorder.functions))
        stack.enter_context(launches_told(recorder.launched))
        if manner.recalls and not engine.exact and target.listen is None:
            stack.enter_context(recalling(recorder.recalls, _WATCHERS))
        run: Callable[..., Any] = target.loss if target.loss is not None else target.model
        returned: list[Any] = []
        for _ in range(manner.runs):
            if calls and manner.handovers:
                arguments = _given_again(calls[-1], manner.handovers, arguments)
            returned.append(run(*arguments[0], **arguments[1]))
        losses = [_loss_of(recorder, target, output) for output in returned]
        loss = _total([each.tensor for each in losses])
    recording = Recording(recorder.trace, None, calls=calls, drew=draws.made)
    recording.loss_name = losses[0].name
    _finish(recorder, recording, loss, _handed_on(calls, manner.handovers))
    if engine.exact and recorder.reads.active:
        recording.drew = True  # what was read may have been drawn by torch
    return recording


def _given_again(
    call: ModelCall, handovers: tuple[Handover, ...], arguments: tuple[Any, Any]
) -> tuple[Any, Any]:
    """Give the next run what the last call returned, where it gave the call the very tensors.

    The model's own arguments are seen to by the hook; a loss may read the state besides.
    """
    after = structures.tensors(handed_over(handovers, call.output, call.arguments))
    before = structures.tensors(call.arguments)
    new = {id(tensor): after[path] for path, tensor in before.items() if path in after}

    def changed(_: structures.Path, value: Any) -> Any:
        return new.get(id(value), value) if isinstance(value, torch.Tensor) else value

    found: tuple[Any, Any] = structures.mapped(arguments, changed)
    return found


def _loss_of(recorder: Recorder, target: Target, output: Any) -> FoundLoss:
    if target.loss is not None:
        return FoundLoss(_checked_loss(output))
    found = find_loss(output, recorder.node_of, recorder.trace)
    if found.note is not None:
        recorder.trace.note(found.note)
    return found


def _total(losses: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Add the losses of all runs."""
    found = [loss for loss in losses if loss is not None]
    if not found:
        return None
    first, *others = found
    return functools.reduce(torch.add, others, first)


def _finish(
    recorder: Recorder,
    recording: Recording,
    loss: torch.Tensor | None,
    handed_on: set[fx.Node],
) -> None:
    """Name the results; a state that the caller only hands on is no readout."""
    recording.made_up, recording.escaped = recorder.reads.unknown, bool(recorder.reads.escapes)
    if loss is not None:
        recording.loss = recorder.node_of(loss)
    for turn, call in enumerate(recording.calls):
        suffix = f" (call {turn + 1})" if len(recording.calls) > 1 else ""
        for name, tensor in named_tensors(call.output):
            node = recorder.node_of(tensor)
            if tensor is not loss and node not in handed_on:
                recording.outputs.append((name + suffix, node))
    recorder.reads.tell()
    recorder.close()
    results = (recording.loss, tuple(node for _, node in recording.outputs))
    recorder.trace.graph.output(results)


def _handed_on(calls: list[ModelCall], handovers: tuple[Handover, ...]) -> set[fx.Node]:
    """Return the nodes of what every call handed to the next."""
    return {
        node
        for call in calls
        for path, node in call.returned.items()
        if any(path[: len(each.output)] == each.output for each in handovers)
    }


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
def _watched(
    model: torch.nn.Module, recorder: Recorder, handovers: tuple[Handover, ...]
) -> Iterator[list[ModelCall]]:
    """Collect the calls of the model, each handing to the next what it shall."""
    calls: list[ModelCall] = []

    def before(_: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        arguments = (args, kwargs)
        if calls and handovers:
            arguments = handed_over(handovers, calls[-1].output, arguments)
        tensors = structures.tensors(arguments)
        nodes = {path: recorder.node_of(tensor) for path, tensor in tensors.items()}
        zeros = frozenset(path for path, tensor in tensors.items() if recorder.is_zero(tensor))
        calls.append(ModelCall(arguments, nodes, zeros))
        return arguments

    def after(_: torch.nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        call = next(call for call in reversed(calls) if not call.returned)
        call.output = output
        for path, tensor in structures.tensors(output).items():
            call.returned[path] = recorder.node_of(tensor)
        call.end = len(recorder.trace.graph.nodes)

    handles = (
        model.register_forward_pre_hook(before, with_kwargs=True),
        model.register_forward_hook(after, with_kwargs=True),
    )
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _inputs(
    recorder: Recorder, engine: Engine, target: Target
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Bring the arguments into the engine's world and declare them by their names."""
    values = [_declared(recorder, engine, *pair) for pair in named_arguments(target)]
    if target.loss is not None:
        return (target.model, *values), {}
    count = len(target.args)
    return tuple(values[:count]), dict(zip(target.kwargs, values[count:], strict=True))


def _declared(recorder: Recorder, engine: Engine, name: str, value: Any) -> Any:
    """Declare every tensor of one argument."""

    def adopt(path: structures.Path, part: Any) -> Any:
        if not isinstance(part, torch.Tensor):
            return part
        tensor = engine.adopt(part)
        recorder.add_input(tensor, name + structures.shown(value, path))
        return tensor

    return structures.mapped(value, adopt)
