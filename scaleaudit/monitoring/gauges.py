"""A model's program as it was captured on batches of some form, run to see what crosses in it.

The program is run, not the user's modules: a state is often no module's output. It has the weights
that the modules have at that moment, and shares nothing else with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scaleaudit.capture.arguments import (
    named_attributes,
    named_inputs,
    named_weights,
)
from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.live import as_target, live_target
from scaleaudit.domain.loops import LoopNest
from scaleaudit.loops.finder import find_loops
from scaleaudit.monitoring.calls import Call, Form
from scaleaudit.monitoring.meter import Meter
from scaleaudit.monitoring.signs import Look
from scaleaudit.probe.program import Crossing, Program

# Forms of batches that are captured; each takes seconds, and the memory of a graph.
MOST_FORMS = 4


class Gauge:
    """One captured program."""

    def __init__(self, call: Call) -> None:
        """Capture a call's program; the model stays as it is.

        Raises:
            CaptureError: It cannot be captured.
            ProbeError: It has no loop, or does what a graph cannot repeat.
        """
        self._model, self._form = call.model, Form.of(call)
        place_of = {id(each): place for place, each in self._form.tensors.items()}
        inputs = named_inputs(as_target(*call.parts))
        self._places = {name: place_of[id(each)] for name, each in inputs.items()}
        with live_target(*call.parts) as target:
            self._captured: Captured = capture(target, whole=True)
        self.nest: LoopNest = find_loops(self._captured.graph)
        self._program = self._made_for(device_of(call.model))
        self._program.refuse_foreign(trained=False)

    def _made_for(self, device: torch.device) -> Program:
        return Program(self._captured, self.nest, device, objective=False)

    def fits(self, form: Form) -> bool:
        """Tell whether the program is that of a call of some form."""
        return form.is_like(self._form)

    def read(self, form: Form | None = None) -> Mapping[Crossing, Look]:
        """Measure what crosses with the weights that the model has now.

        Args:
            form: What on; by default what was captured.
        """
        device = device_of(self._model)
        if device != self._program.device:
            self._program = self._made_for(device)
        program, meter = self._program, Meter()
        tensors = (form or self._form).tensors
        inputs = {name: tensors[place] for name, place in self._places.items()}
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
