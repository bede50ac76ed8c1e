"""Capture: run a target once and return its operators as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import fx

from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.lowering import Lowering
from scaleaudit.capture.session import Recording, record
from scaleaudit.capture.targets import Target
from scaleaudit.domain.graph import NodeKind, OpGraph, Ref, TensorMeta, verify


@dataclass(frozen=True, slots=True)
class Leaf:
    """One placeholder of the executable graph.

    Attributes:
        node: Its id in the OpGraph.
        value: Its value where it is known and small.
    """

    kind: NodeKind
    name: str
    node: int
    meta: TensorMeta
    value: torch.Tensor | None


@dataclass(frozen=True)
class Captured:
    """A captured program, to analyse and to run.

    Attributes:
        leaves: The placeholders of ``module``, in order.
        node_of: From the id of a node in ``graph`` to the node of ``module.graph``; one with
            several outputs is read through picks of single ones, see ``pick``.
    """

    graph: OpGraph
    leaves: tuple[Leaf, ...]
    node_of: dict[int, fx.Node]
    fx_graph: fx.Graph
    picks: dict[Ref, fx.Node]

    @cached_property
    def module(self) -> fx.GraphModule:
        """The program with its leaves as arguments; returns the loss and the outputs."""
        return fx.GraphModule(torch.nn.Module(), self.fx_graph)


def capture(target: Target) -> Captured:
    """Record a target's forward and loss.

    Raises:
        CaptureError: No way of recording works; says why, at which line of the user's.
    """
    engine = target.engine or FakeEngine(building=False)
    engine.building = False
    return _captured(target, record(target, engine))


def _captured(target: Target, recording: Recording) -> Captured:
    """Lower a recording."""
    trace = recording.trace
    lowering = Lowering(trace)
    graph = OpGraph(
        nodes=lowering.run(),
        loss=None if recording.loss is None else lowering.ref(recording.loss),
        outputs=tuple((name, lowering.ref(node)) for name, node in recording.outputs),
        loss_given=target.loss is not None,
        notes=tuple(trace.notes),
    )
    verify(graph)
    leaves = tuple(
        Leaf(origin.kind, origin.name, lowering.ref(node).node, origin.outputs[0], origin.value)
        for node, origin in trace.origins.items()
        if origin.kind is not NodeKind.CALL
    )
    return Captured(graph, leaves, lowering.sources, trace.graph, lowering.picks())
