"""A model's program as it was captured on batches of some form, run to see what crosses in it.

The program is run, not the user's modules: a state is often no module's output. It has the weights
that the modules have at that moment, and shares nothing else with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaleaudit.capture import structures
from scaleaudit.capture.arguments import (
    named_arguments,
    named_attributes,
    named_inputs,
    named_weights,
)
from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.live import as_target, live_target
from scaleaudit.domain.loops import LoopNest
from scaleaudit.loops.finder import find_loops
from scaleaudit.monitoring.meter import Meter
from scaleaudit.monitoring.signs import Look
from scaleaudit.probe.program import Crossing, Program

# Forms of batches that are captured; each takes seconds, and the memory of a graph.
MOST_FORMS = 4
# Values among arguments that steer a program, and are told apart by what they are.
_PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device)


@dataclass(frozen=True, slots=True)
class Call:
    """A model, its loss, and what they are called with, as ``scaleaudit.audit`` takes them."""

    model: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[..., Any] | None
    loss_args: tuple[Any, ...] | None
    path: Path

    def on(self, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Call:
        """Return the call with another batch; nothing is the batch that it has."""
        if not batch and not named:
            return self
        if self.loss_args is not None:
            return replace(self, loss_args=batch)
        return replace(self, args=batch or self.args, kwargs={**self.kwargs, **named})

    @property
    def parts(self) -> tuple[Any, ...]:
        """What a target is made of."""
        return (self.model, self.args, self.kwargs, self.loss, self.loss_args, self.path)


@dataclass(frozen=True, slots=True)
class Form:
    """What a captured program holds for: tensors of these names, and all else as it was.

    Attributes:
        plain: Numbers, texts and the like among the arguments, by their names.
    """

    inputs: Mapping[str, Tensor]
    plain: Mapping[str, object]
    training: bool

    @classmethod
    def of(cls, call: Call) -> Form:
        """Return the form of a call."""
        target = as_target(*call.parts)
        plain = {
            name + structures.shown(value, path): item
            for name, value in named_arguments(target)
            for path, item in structures.subtrees(value)
            if isinstance(item, _PLAIN)
        }
        return cls(named_inputs(target), plain, call.model.training)


class Gauge:
    """One captured program."""

    def __init__(self, call: Call) -> None:
        """Capture a call's program; the model stays as it is.

        Raises:
            CaptureError: It cannot be captured.
            ProbeError: It has no loop, or does what a graph cannot repeat.
        """
        self._model, self._form = call.model, Form.of(call)
        with live_target(*call.parts) as target:
            self._captured: Captured = capture(target, whole=True)
        self.nest: LoopNest = find_loops(self._captured.graph)
        self._program = self._made_for(device_of(call.model))
        self._program.refuse_foreign(trained=False)

    def _made_for(self, device: torch.device) -> Program:
        return Program(self._captured, self.nest, device, objective=False)

    def fits(self, form: Form) -> bool:
        """Tell whether the program is that of a call of some form."""
        plain = {name for name in self._form.plain if name in form.plain}
        return (
            form.training is self._form.training
            and all(form.plain[name] == self._form.plain[name] for name in plain)
            and all(self._takes(name, form.inputs.get(name)) for name in self._program.inputs)
        )

    def _takes(self, name: str, given: Tensor | None) -> bool:
        held = self._form.inputs.get(name)
        if given is None or held is None:
            return False
        return given.shape == held.shape and given.dtype == held.dtype

    def read(self, form: Form | None = None) -> Mapping[Crossing, Look]:
        """Measure what crosses with the weights that the model has now.

        Args:
            form: What on; by default what was captured.
        """
        device = device_of(self._model)
        if device != self._program.device:
            self._program = self._made_for(device)
        program, meter = self._program, Meter()
        inputs = (form or self._form).inputs
        with torch.no_grad(), draws_kept(program):
            feed = {**_weights(self._model), **inputs}
            env = program.start(feed, named_attributes(self._model))
            program.advance(env, program.steps, meter, ())
            return meter.read()


class Gauges:
    """The programs of one model, as batches of different forms come by."""

    def __init__(self, call: Call) -> None:
        self._first = Gauge(call)
        self._known = [self._first]
        self._call, self._captures = call, 1

    @property
    def nest(self) -> LoopNest:
        """The loops and states that are measured."""
        return self._first.nest

    def read(self, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Measured:
        """Measure on a batch, or on the first one where no program for its form can be had."""
        call = self._call.on(batch, named)
        form = Form.of(call)
        gauge = next((gauge for gauge in self._known if gauge.fits(form)), None)
        if gauge is not None:
            return Measured(gauge.read(form))
        if self._captures == MOST_FORMS:
            return Measured(self._first.read(), own=False)
        self._captures += 1
        gauge = Gauge(call)
        if _states(gauge.nest) != _states(self.nest):
            return Measured(self._first.read(), own=False)
        self._known.append(gauge)
        return Measured(gauge.read(form))


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        own: Whether on the batch that was given.
    """

    looks: Mapping[Crossing, Look]
    own: bool = True


def _states(nest: LoopNest) -> list[list[str]]:
    return [[state.name for state in loop.states] for loop in nest.loops]


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return weights as they are, and copies of buffers: some operators write to them."""
    buffers = {id(buffer) for buffer in model.buffers()}
    return {
        name: value.detach().clone() if id(value) in buffers else value.detach()
        for name, value in named_weights(model).items()
    }


def device_of(model: torch.nn.Module) -> torch.device:
    """Return the device that a model's weights are on, else the CPU."""
    return next((each.device for each in model.parameters()), torch.device("cpu"))


@contextmanager
def draws_kept(program: Program) -> Iterator[None]:
    """Let what a program draws be drawn again by whoever draws next."""
    device = program.device
    own = None if device.type == "cpu" else torch.get_device_module(device)
    place = (device,) if device.type == "cuda" else ()
    state = None if own is None else own.get_rng_state(*place)
    generators = [(each, each.get_state()) for each in program.generators()]
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            if own is not None:
                own.set_rng_state(state, *place)
            for each, before in generators:
                each.set_state(before)
