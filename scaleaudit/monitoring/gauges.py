"""A model's program as it was captured on batches of some form, run to see what crosses in it.

The program is run, not the user's modules: a state is often no module's output. It has the weights
that the modules have at that moment, and shares nothing else with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from scaleaudit.capture.arguments import (
    named_attributes,
    named_inputs,
    named_weights,
)
from scaleaudit.capture.capturing import Captured, Leaf, capture
from scaleaudit.capture.live import as_target, live_target
from scaleaudit.domain.graph import NodeKind, OpGraph
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
        self._model, self.form = call.model, Form.of(call)
        place_of = {id(each): place for place, each in self.form.tensors.items()}
        inputs = named_inputs(as_target(*call.parts))
        self._places = {name: place_of[id(each)] for name, each in inputs.items()}
        with live_target(*call.parts) as target:
            self._captured: Captured = capture(target, whole=True)
        self.nest: LoopNest = find_loops(self._captured.graph)
        self._program = self._made_for(device_of(call.model))
        self._program.refuse_foreign(trained=False)

    def _made_for(self, device: torch.device) -> Program:
        return Program(self._captured, self.nest, device, objective=False)

    def computes(self, other: Gauge) -> bool:
        """Tell whether another program is the same, node by node and constant by constant."""
        mine, theirs = self._captured, other._captured
        return _steps(mine.graph) == _steps(theirs.graph) and all(
            _same_leaf(*pair) for pair in zip(mine.leaves, theirs.leaves, strict=True)
        )

    def read(self, form: Form | None = None) -> Mapping[Crossing, Look]:
        """Measure what crosses with the weights that the model has now.

        Args:
            form: What on; by default what was captured.
        """
        device = device_of(self._model)
        if device != self._program.device:
            self._program = self._made_for(device)
        program, meter = self._program, Meter()
        tensors = (form or self.form).tensors
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
        # Attributes of modules that were seen to change, and the program not with them.
        self._idle = set[str]()

    @property
    def nest(self) -> LoopNest:
        """The loops and states that are measured."""
        return self._first.nest

    def read(self, batch: tuple[Any, ...], named: Mapping[str, Any]) -> Measured:
        """Measure on a batch, or on the first one where no program for its form can be had.

        Where only what modules hold has changed once too often, an earlier program has the batch.
        """
        call = self._call.on(batch, named)
        form = Form.of(call)
        near = [gauge for gauge in self._known if gauge.form.is_like(form)]
        gauge = next((each for each in near if not self._moved(each, form)), None)
        if gauge is not None:
            return Measured(gauge.read(form))
        if self._captures == MOST_FORMS:
            return Measured(near[0].read(form) if near else self._first.read(), own=False)
        self._captures += 1
        gauge = Gauge(call)
        for known in near:
            if known.computes(gauge):
                # A counter or the like. That it changes is no reason to capture again.
                self._captures -= 1
                self._idle |= self._moved(known, form)
                return Measured(known.read(form))
        if _states(gauge.nest) != _states(self.nest):
            return Measured(self._first.read(), own=False)
        self._known.append(gauge)
        return Measured(gauge.read(form))

    def _moved(self, gauge: Gauge, form: Form) -> set[str]:
        """Return the attributes that differ from those of a captured form, and may matter."""
        return gauge.form.moved(form) - self._idle


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        own: Whether on the batch that was given.
    """

    looks: Mapping[Crossing, Look]
    own: bool = True


def _steps(graph: OpGraph) -> list[tuple[object, ...]]:
    """Return what a program does; what is known of the values that buffers had is left out."""
    return [
        (node.kind, node.op, node.arguments, [(each.shape, each.dtype) for each in node.outputs])
        for node in graph.nodes
    ]


def _same_leaf(mine: Leaf, theirs: Leaf) -> bool:
    if mine.kind is not NodeKind.CONSTANT:
        return mine.name == theirs.name
    known = mine.value is not None and theirs.value is not None
    return known and torch.equal(cast("Tensor", mine.value), cast("Tensor", theirs.value))


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
