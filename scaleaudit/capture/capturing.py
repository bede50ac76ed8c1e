"""Capture: run a target once and return its operators as a graph."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import fx

from scaleaudit.capture._torch_private import FAKE_EXCEPTIONS
from scaleaudit.capture.declared import declared_laws
from scaleaudit.capture.engines import FakeEngine, RealEngine
from scaleaudit.capture.exporting import exported
from scaleaudit.capture.leaks import VARIATIONS, replace_leaks, suspicious
from scaleaudit.capture.loading import innermost_line, reason
from scaleaudit.capture.lowering import Lowering
from scaleaudit.capture.places import is_own
from scaleaudit.capture.runs import Studio, best_recording
from scaleaudit.capture.session import Manner, Recording, record
from scaleaudit.capture.targets import BuildError, Target
from scaleaudit.capture.unrolling import unrolled
from scaleaudit.domain.attempts import (
    Attempt,
    Failure,
    first_reason,
    most_telling,
    next_attempt,
)
from scaleaudit.domain.collecting import collector_held
from scaleaudit.domain.graph import NodeKind, Note, NoteKind, OpGraph, Ref, TensorMeta, verify
from scaleaudit.errors import CaptureError, TargetError, class_name

# Weights up to which a target is run on real tensors, in bytes.
REAL_LIMIT = 2 << 30


@dataclass(frozen=True, slots=True)
class Leaf:
    """One placeholder of the executable graph.

    Attributes:
        node: Its id in the OpGraph.
        value: Its value where it is known and small; the tensor itself of a parameter that is none of
            the model's, as one of the loss.
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


class Unfit(CaptureError):  # noqa: N818 - reads as what a way of capturing is
    """One way of capturing a target does not do; another may."""

    def __init__(self, error: BaseException, failure: Failure) -> None:
        hint = "call the model with the same arguments in plain Python to see the whole traceback"
        if not failure.telling:
            hint = "the forward needs values that capture does not compute; make the model smaller"
        where = innermost_line(error, "")
        super().__init__(f"the forward failed: {failure.reason}", where=where, hint=hint)
        self.failure = failure


def capture(target: Target, *, whole: bool = False) -> Captured:
    """Record a target's forward and loss, in the first way that does, all in this process.

    Fake tensors come first, with the oracle for what they cannot answer, then real ones, then
    ``torch.export``. To give each a process of its own, call ``capture_by``.

    Args:
        target: What to record.
        whole: Whether every call is run and every turn kept, whatever that takes. Else calls of
            submodules that repeat others are recalled, and turns that say nothing new left out.

    Raises:
        CaptureError: None works; says why, at which line of the user's.
    """
    errors: list[Unfit] = []
    failures: list[Failure] = []
    attempt: Attempt | None = Attempt.BUILT_REAL if target.engine is None else Attempt.FAKES
    while attempt is not None:
        try:
            again = target if not failures else target.rebuild(fake=attempt.builds_fakes)
            return capture_by(attempt, again, first_reason(failures), whole=whole)
        except TargetError:
            break  # what was built of fakes cannot be built of real tensors
        except Unfit as error:
            errors.append(error)
            failures.append(error.failure)
        attempt = next_attempt(failures)
    raise errors[most_telling(failures)]


def capture_by(
    attempt: Attempt, target: Target, since: str = "", *, whole: bool = False
) -> Captured:
    """Record a target's forward and loss in one way.

    Args:
        target: A target that was built as the attempt asks for.
        since: Why a better way did not do, where it was tried.
        whole: As for ``capture``.

    Raises:
        Unfit: This way does not do, another may.
        CaptureError: None would.
    """
    try:
        # Whoever turned gradients off for the whole process does not train there.
        with torch.enable_grad():
            recording = WAYS[attempt](target, not whole)
    except CaptureError:
        raise
    except (Exception, SystemExit) as error:
        if _is_ours(error):
            raise
        raise Unfit(error, _failure(attempt, target, error)) from error
    if since:
        recording.trace.notes.insert(0, _fallback(attempt, since))
    with collector_held():
        return lowered(target, unrolled(recording, shorten=not whole))


def not_built(attempt: Attempt, error: BuildError) -> Failure:
    """Say how a target's building failed, for the choice of the next attempt."""
    return Failure(
        attempt,
        class_name(error.__cause__),
        error.message,
        built=False,
        telling=not _of_fakes(error.__cause__),
        curable=True,
    )


def _of_fakes(error: BaseException | None) -> bool:
    """Tell whether an error speaks of fake tensors, without asking it for its class."""
    return issubclass(type(error), FAKE_EXCEPTIONS)


def _failure(attempt: Attempt, target: Target, error: BaseException) -> Failure:
    return Failure(
        attempt,
        class_name(error),
        reason(error),
        built=True,
        telling=not _of_fakes(error),
        curable=_size(target) <= REAL_LIMIT,
    )


def _on_fakes(target: Target, recalls: bool) -> Recording:  # noqa: FBT001 - one of WAYS
    """Record on fake tensors."""
    studio = Studio(_fakes_of, lambda: target.rebuild(fake=target.engine is not None), recalls)
    with collector_held():
        recording, manner = best_recording(target, studio)
        if suspicious(recording):
            recording = unrolled(recording, shorten=False)
            _look_for_leaks(studio, recording, manner)
    return recording


def _fakes_of(target: Target) -> FakeEngine:
    engine = target.engine or FakeEngine(building=False)
    engine.building = False
    return engine


def _look_for_leaks(studio: Studio, recording: Recording, manner: Manner) -> None:
    """Record again with other numbers for what was read; constants that change are none."""
    for variation in VARIATIONS:
        try:
            other = studio.record(replace(manner, variation=variation))
            other = unrolled(other, shorten=False)
            if replace_leaks(recording, other):
                return
        except Exception:  # noqa: BLE001, S112 - other sizes need not fit; the next keeps them
            continue
    message = "numbers read from tensors steer the program in ways that capture cannot compare"
    recording.trace.note(Note(NoteKind.ORACLE, message))


def _on_real_tensors(target: Target, _: bool) -> Recording:  # noqa: FBT001 - one of WAYS
    """Record on real tensors, which recalled calls would not return."""
    studio = Studio(lambda _: RealEngine(), lambda: target.rebuild(fake=False))
    return best_recording(target, studio)[0]


def by_export(target: Target, _: bool) -> Recording:  # noqa: FBT001 - one of WAYS
    """Record what ``torch.export`` makes of the program."""
    return record(exported(target), RealEngine())


WAYS: dict[Attempt, Callable[[Target, bool], Recording]] = {
    Attempt.FAKES: _on_fakes,
    Attempt.BUILT_REAL: _on_fakes,
    Attempt.REAL: _on_real_tensors,
    Attempt.EXPORT: by_export,
}


def _size(target: Target) -> int:
    """Return the bytes that a target's weights take."""
    model = target.model
    return sum(p.numel() * p.element_size() for p in (*model.parameters(), *model.buffers()))


def _fallback(attempt: Attempt, since: str) -> Note:
    way = "torch.export" if attempt is Attempt.EXPORT else "real tensors"
    return Note(NoteKind.FALLBACK, f"captured with {way}, since fake tensors did not do: {since}")


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
        repeats=tuple(lowering.repeats()),
        loss_name=recording.loss_name,
        declared=declared_laws(),
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
    kinds = (AssertionError, NameError, AttributeError, KeyError)
    return issubclass(type(error), kinds) and is_own(frames[-1].f_code)
