"""A target on the bench: built of real tensors, captured with its training data, ready to be probed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from scaleaudit.capture.arguments import named_inputs, named_weights, with_batch, with_inputs
from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.leaves import shown
from scaleaudit.capture.targets import Target, build_plan, open_file
from scaleaudit.devices import chosen, described
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict, Transition
from scaleaudit.domain.graph import NodeKind
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.probing import Batches, ProbeRequest
from scaleaudit.errors import CaptureError, ProbeError, full_sentence
from scaleaudit.loops.finder import find_loops
from scaleaudit.probe.data import Made, Own, Stream, guarded, widened
from scaleaudit.probe.group import ALONE, Group, Share, gathered, local_device
from scaleaudit.probe.program import Program
from scaleaudit.probe.protocol import Bench, probe
from scaleaudit.probe.readout import raw_readout
from scaleaudit.probe.roles import roles_of
from scaleaudit.scale.analysis import analyse_and_claim
from scaleaudit.sources import is_archive, relative
from scaleaudit.weights.fitting import load_weights

# Parameters below which more threads than one wait for each other.
_SMALL = 4_000_000


def built(path: str, name: str, plan: Plan | None = None) -> Target:
    """Build a target of real tensors, as seed 0 makes it.

    Args:
        name: Which target of the file.
        plan: How it is built, where the file has no target function.
    """
    with _seeded(0):
        if plan is not None:
            return build_plan(plan, fake=False)
        if is_archive(path):
            from scaleaudit.capture.programs import open_programs  # loads torch.export

            return open_programs(Path(path)).build(name, fake=False)
        return open_file(Path(path)).build(name, fake=False)


def probe_target(
    target: Target,
    request: ProbeRequest,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> ProbeOutcome:
    """Probe a target that was built of real tensors, in this process.

    Raises:
        ConfigError: The device is not there.
    """
    request = replace(request, device=local_device(request.device))
    try:
        with gathered(f"{target.path.name}::{target.name}", chosen(request.device)) as group:
            tell("capturing", 0, 1)
            return probe(bench_of(target, request, group), request, tell)
    except (ProbeError, CaptureError) as error:
        file, colon, line = error.where.rpartition(":")
        error.where = f"{relative(file, Path.cwd())}:{line}" if colon else error.where
        return ProbeOutcome(ProbeVerdict.INCONCLUSIVE, reason=full_sentence(error))


def bench_of(target: Target, request: ProbeRequest, group: Group = ALONE) -> Bench:
    """Capture a target with the data that it is trained on, and make everything ready for that.

    Args:
        group: The processes that probe it together.

    Raises:
        ConfigError: The device is not there, or the checkpoint is of another model.
        ProbeError: The target cannot be trained, or no data can be made up for it.
        CaptureError: It cannot be captured.
    """
    device = chosen(request.device)
    weights = _Weights(target, request.checkpoint, group)
    count = sum(parameter.numel() for parameter in target.model.parameters())
    if device.type == "cpu" and count < _SMALL:
        torch.set_num_threads(1)
    target, captured, stream = _shared(*_with_data(target, request, weights), group)
    weights.take_in(captured)
    nest = find_loops(captured.graph)
    program = Program(captured, nest, device)
    facts, claims = analyse_and_claim(captured.graph, nest)
    wide = Program(
        captured, nest, torch.device("cpu") if device.type == "mps" else device, wide=True
    )
    return Bench(
        program=program,
        wide=wide,
        raw=raw_readout(program, captured.graph, nest.loops, claims),
        weights=weights,
        stream=stream,
        device=described(device),
        group=group,
        checkpoint=weights.source,
        linear=frozenset(
            (i, j)
            for i, loop in enumerate(facts.loops)
            for j, state in enumerate(loop.states)
            if state.transition is Transition.LINEAR
        ),
    )


def _with_data(
    target: Target, request: ProbeRequest, weights: _Weights
) -> tuple[Target, Captured, Stream]:
    """Return the target as it is trained, captured that way, and what it is trained on."""
    start = target.batches
    if start is not None and request.batches is Batches.OWN:
        first = next(guarded(start), None)
        if first is None:
            raise ProbeError(
                "the target's batches are none: the iterable ends at once",
                hint='Let "batches" return a new iterable whenever it is called.',
            )
        target = with_batch(target, first)
        called = target
        own = Own(
            start,
            lambda batch: named_inputs(with_batch(called, batch)),
            named_inputs(target),
        )
        return target, capture(target, whole=True), own
    captured = capture(target, whole=True)
    given: Mapping[str, Tensor] = named_inputs(target)
    wide = widened(given)
    if wide is not given:
        try:
            larger = with_inputs(target, wide)
            recorded = capture(larger, whole=True)
            if _runs(recorded, {**weights(0), **wide}):
                captured, target, given = recorded, larger, wide
        except CaptureError:
            pass  # the number of examples is built in, so those given have to do
    return target, captured, Made(roles_of(captured.graph, find_loops(captured.graph), given))


def _runs(captured: Captured, feed: Mapping[str, Tensor]) -> bool:
    """Whether a program that was captured with more examples runs on that many, and not only in shape.

    As where a loss takes the number of an example for that of a class. On the CPU, as an
    accelerator would not get over it.
    """
    nest = find_loops(captured.graph)
    if not nest.loops or captured.graph.loss is None:
        return True  # which is complained of later
    try:
        with torch.no_grad():
            Program(captured, nest, torch.device("cpu")).run({**_learnt_outside(captured), **feed})
    except (RuntimeError, IndexError):
        return False
    return True


def _learnt_outside(captured: Captured) -> dict[str, Tensor]:
    """Return the parameters that the loss brings along, by their names in the graph."""
    learn = (leaf for leaf in captured.leaves if leaf.kind is NodeKind.PARAMETER)
    return {leaf.name: leaf.value for leaf in learn if leaf.value is not None}


def _shared(
    target: Target, captured: Captured, stream: Stream, group: Group
) -> tuple[Target, Captured, Stream]:
    """Return a target on this process's share of every batch, captured that way."""
    if group.size == 1:
        return target, captured, stream
    target = with_inputs(target, group.share(named_inputs(target)))
    return target, capture(target, whole=True), Share(stream, group)


class _Weights:
    """Parameters and buffers: of a checkpoint, else as the target's code makes them, seed by seed.

    Attributes:
        source: The checkpoint in words; empty where there is none.
    """

    def __init__(self, target: Target, checkpoint: str | None, group: Group) -> None:
        """Begin with the target as it was built, which is what seed 0 makes."""
        self._target, self._group = target, group
        self._saved: Mapping[str, Tensor] = {}
        self.source = ""
        if checkpoint is not None:
            loaded = load_weights(Path(checkpoint), target.model)
            self._saved = {shown(name): value for name, value in loaded.values.items()}
            self.source = loaded.source
        self._latest = 0, self._given(target)
        self._foreign: Mapping[str, Tensor] = {}

    def take_in(self, captured: Captured) -> None:
        """Take in the parameters that the loss brings along; they are the same for every seed."""
        self._foreign = self._group.same(_learnt_outside(captured))

    def __call__(self, seed: int) -> Mapping[str, Tensor]:
        """Return the weights of a seed."""
        if self._latest[0] != seed:
            with _seeded(seed):
                self._latest = seed, self._given(self._target.rebuild(fake=False))
        return {**self._latest[1], **self._foreign}

    def _given(self, target: Target) -> Mapping[str, Tensor]:
        made = named_weights(target.model)
        saved = {
            name: value.to(made[name].device).requires_grad_(made[name].requires_grad)
            for name, value in self._saved.items()
        }
        return self._group.same({**made, **saved})


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed all that code draws numbers from, while it builds a model."""
    random.seed(seed)
    torch.manual_seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)
    yield
