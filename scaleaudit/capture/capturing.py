"""Capture: run a target once and return its operators as a graph."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import fx

from scaleaudit.capture._torch_private import FAKE_EXCEPTIONS
from scaleaudit.capture.engines import FakeEngine, RealEngine
from scaleaudit.capture.exporting import exported
from scaleaudit.capture.leaks import VARIATIONS, replace_leaks, suspicious
from scaleaudit.capture.loading import innermost_line, reason
from scaleaudit.capture.lowering import Lowering
from scaleaudit.capture.places import is_own
from scaleaudit.capture.session import Recording, record
from scaleaudit.capture.targets import Target
from scaleaudit.domain.graph import NodeKind, Note, NoteKind, OpGraph, Ref, TensorMeta, verify
from scaleaudit.errors import CaptureError

# Weights up to which a target is run on real tensors, in bytes.
REAL_LIMIT = 2 << 30


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
    """Record a target's forward and loss, in the first world in which that works.

    Fake tensors come first, with the oracle for what they cannot answer, then real ones, then
    ``torch.export``.

    Raises:
        CaptureError: None works; says why, at which line of the user's.
    """
    failures: list[Exception | SystemExit] = []
    for way in WAYS:
        if not _worth_trying(way, target, failures):
            continue
        try:
            recording = way(target)
        except CaptureError:
            raise
        except (Exception, SystemExit) as error:
            if _is_ours(error):
                raise
            failures.append(error)
        else:
            if failures:
                recording.trace.notes.insert(0, _fallback(way, failures[0]))
            return lowered(target, recording)
    raise _explained(failures)


def _on_fakes(target: Target) -> Recording:
    """Record on fake tensors."""
    recording = record(target, _fakes_of(target))
    if suspicious(recording):
        _look_for_leaks(target, recording)
    return recording


def _fakes_of(target: Target) -> FakeEngine:
    engine = target.engine or FakeEngine(building=False)
    engine.building = False
    return engine


def _look_for_leaks(target: Target, recording: Recording) -> None:
    """Record again with other numbers for what was read; constants that change are none."""
    for variation in VARIATIONS:
        again = target.rebuild(fake=target.engine is not None)
        try:
            if replace_leaks(recording, record(again, _fakes_of(again), variation)):
                return
        except Exception:  # noqa: BLE001, S112 - other sizes need not fit; the next keeps them
            continue
    message = "numbers read from tensors steer the program in ways that capture cannot compare"
    recording.trace.note(Note(NoteKind.ORACLE, message))


def _on_real_tensors(target: Target) -> Recording:
    """Record on real tensors."""
    return record(target.rebuild(fake=False), RealEngine())


def by_export(target: Target) -> Recording:
    """Record what ``torch.export`` makes of the program."""
    again, replay = exported(target.rebuild(fake=False))
    return record(again, RealEngine(), listen=replay.listen)


# The ways of recording, the best first.
WAYS: dict[Callable[[Target], Recording], str] = {
    _on_fakes: "fake tensors",
    _on_real_tensors: "real tensors",
    by_export: "torch.export",
}


def _worth_trying(
    way: Callable[[Target], Recording], target: Target, failures: Sequence[BaseException]
) -> bool:
    """Tell whether a way suits the size, and isn't bound to fail as the others did."""
    if way is _on_fakes:
        return True
    same = len(failures) > 1 and len({type(error) for error in failures}) == 1
    return _size(target) <= REAL_LIMIT and not (way is by_export and same)


def _size(target: Target) -> int:
    """Return the bytes that a target's weights take."""
    model = target.model
    return sum(p.numel() * p.element_size() for p in (*model.parameters(), *model.buffers()))


def _fallback(way: Callable[[Target], Recording], failure: BaseException) -> Note:
    message = f"captured with {WAYS[way]}, since fake tensors did not do: {reason(failure)}"
    return Note(NoteKind.FALLBACK, message)


def _explained(failures: Sequence[BaseException]) -> CaptureError:
    """Choose the failure that says most to the user."""
    telling = [error for error in failures if not isinstance(error, FAKE_EXCEPTIONS)]
    # What real tensors say is what the user would see; export speaks of export.
    error = (telling[:2] or list(failures))[-1]
    where = innermost_line(error, "")
    hint = "call the model with the same arguments in plain Python to see the whole traceback"
    if isinstance(error, FAKE_EXCEPTIONS):
        hint = "the forward needs values that capture does not compute; make the model smaller"
    found = CaptureError(f"the forward failed: {reason(error)}", where=where, hint=hint)
    found.__cause__ = error
    return found


def lowered(target: Target, recording: Recording) -> Captured:
    """Turn a recording into the graph without torch, and check that."""
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


def _is_ours(error: BaseException) -> bool:
    """Tell whether an error is a broken invariant of capture itself."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, (AssertionError, NameError, AttributeError, KeyError)) and is_own(
        frames[-1].f_code
    )
