"""Probes of targets: `probed` asks for them here, in the parent; `attempt_probe` runs in the child.

The audit comes first and its facts stand whatever becomes of the probe, which is put beside them.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

import msgspec

from scaleaudit.children import Audited, Desk
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict
from scaleaudit.domain.laws import declare_all
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.probing import Batches, ProbeRequest
from scaleaudit.errors import CaptureError, ConfigError, ProbeError, ScaleAuditError
from scaleaudit.isolation.child import Original
from scaleaudit.isolation.jobs import (
    Job,
    Limits,
    Trouble,
    TroubleKind,
    decode_laws,
    decode_plans,
    encode_laws,
    encode_plans,
)
from scaleaudit.isolation.runner import run
from scaleaudit.sources import is_archive

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scaleaudit.capture.capturing import Captured
    from scaleaudit.capture.targets import Target
    from scaleaudit.domain.loops import LoopNest
    from scaleaudit.probe.data import Stream
    from scaleaudit.probe.protocol import Bench

_PROBE = "scaleaudit.probing:attempt_probe"
# Seconds beside the budget in which a target is built and captured, each run once or twice.
_PREPARING = 120.0
# Bytes that a probe may take: what runs on an accelerator is mapped as private memory as well.
_ROOM = 64 << 30
# Parameters below which more threads than one wait for each other.
_SMALL = 4_000_000

# Called with how many are done, of how many, and what the last one was.
Watch = Callable[[int, int, str], None]


def probed(
    audited: Sequence[Audited], desk: Desk, request: ProbeRequest, watch: Watch
) -> tuple[Audited, ...]:
    """Probe every target that was audited, one after the other, as training takes the machine.

    Raises:
        ConfigError: The device is not there.
    """
    with tempfile.TemporaryDirectory(prefix="scaleaudit-") as folder:
        return tuple(
            target if target.found.facts is None else _probed(target, desk, request, told)
            for i, target in enumerate(audited)
            for told in [_Told(Path(folder) / str(i), watch, i, len(audited), _named(target))]
        )


def _named(target: Audited) -> str:
    return f"{target.path}::{target.found.name}"


class _Told:
    """What a child writes down of how far it is, read from time to time."""

    def __init__(self, file: Path, watch: Watch, done: int, total: int, name: str) -> None:
        self.file = file
        self._watch, self._done, self._total, self._name = watch, done, total, name

    @contextmanager
    def followed(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._follow, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _follow(self, over: threading.Event) -> None:
        while not over.wait(_GLANCE):
            said = self.file.read_text() if self.file.exists() else "starting"
            self._watch(self._done, self._total, f"{self._name}: {said}")


# Seconds between two looks at how far a child is.
_GLANCE = 0.3


def _probed(target: Audited, desk: Desk, request: ProbeRequest, told: _Told) -> Audited:
    plan = target.asked if isinstance(target.asked, Plan) else None
    name = target.found.name if plan is not None or not target.asked else str(target.asked)
    arguments = (
        target.path,
        name,
        encode_plans((plan,) if plan is not None else ()),
        encode_laws(desk.settings.laws_for(Path(target.path))),
        msgspec.json.encode(request).decode(),
        str(told.file),
    )
    limits = Limits(seconds=request.budget + _PREPARING, memory=max(_ROOM, desk.limits.memory))
    with told.followed():
        outcome = run(desk.workers, Job(_PROBE, arguments, limits), ProbeOutcome)
    found = outcome.value or _failed(outcome.trouble)
    assert target.found.facts is not None
    facts = replace(target.found.facts, probe=found)
    return replace(
        target,
        found=replace(target.found, facts=facts),
        output=target.output + outcome.output,
        seconds=target.seconds + outcome.seconds,
    )


def _failed(trouble: Trouble | None) -> ProbeOutcome:
    """Say what kept a target from being probed: that is open, not refuted."""
    assert trouble is not None
    if trouble.kind is TroubleKind.CONFIG:
        raise ConfigError(trouble.message, where=trouble.where, hint=trouble.hint)
    return ProbeOutcome(ProbeVerdict.INCONCLUSIVE, reason=_sentence(trouble))


def _sentence(trouble: Trouble | ScaleAuditError) -> str:
    where = f" ({trouble.where})" if trouble.where else ""
    hint = f". {trouble.hint}" if trouble.hint else ""
    return f"{trouble.message}{where}{hint}"


def attempt_probe(
    path: str, name: str, plans: str, laws: str, request: str, progress: str
) -> ProbeOutcome:
    """Build a target of real tensors, train it and its twins; runs the user's code in a child.

    Args:
        name: Which target of the file.
        plans: In place of a name, the plan that was found for it.
        laws: Laws of operators that the project's settings declare.
        request: How to probe.
        progress: The file where to write how far it is.
    """
    declare_all(decode_laws(laws))
    asked = msgspec.json.decode(request, type=ProbeRequest)
    original, file = Original(), Path(progress)

    def tell(what: str, step: int, steps: int) -> None:
        counted = f", step {step} of {steps}" if steps > 1 else ""
        file.write_text(f"{what}{counted}")

    tell("building", 0, 1)
    (*found,) = decode_plans(plans)
    with _seeded(0):
        target = _built(path, name, found[0] if found else None)
    original.end_copies()
    return probe_target(target, asked, tell)


def _built(path: str, name: str, plan: Plan | None) -> Target:
    from scaleaudit.capture.targets import build_plan, open_file

    if plan is not None:
        return build_plan(plan, fake=False)
    if is_archive(path):
        from scaleaudit.capture.programs import open_programs

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
    from scaleaudit.probe.protocol import probe

    try:
        tell("capturing", 0, 1)
        return probe(bench_of(target, request), request, tell)
    except (ProbeError, CaptureError) as error:
        return ProbeOutcome(ProbeVerdict.INCONCLUSIVE, reason=_sentence(error))


def bench_of(target: Target, request: ProbeRequest) -> Bench:
    """Capture a target with the data that it is trained on, and make everything ready for that.

    Raises:
        ConfigError: The device is not there.
        ProbeError: The target cannot be trained, or no data can be made up for it.
        CaptureError: It cannot be captured.
    """
    import torch

    from scaleaudit.loops.finder import find_loops
    from scaleaudit.probe.devices import chosen, described
    from scaleaudit.probe.program import Program
    from scaleaudit.probe.protocol import Bench
    from scaleaudit.probe.readout import raw_readout
    from scaleaudit.scale.analysis import analyse_and_claim

    device = chosen(request.device)
    count = sum(parameter.numel() for parameter in target.model.parameters())
    if device.type == "cpu" and count < _SMALL:
        torch.set_num_threads(1)
    target, captured, stream = _with_data(target, request)
    nest = find_loops(captured.graph)
    program = Program(captured, nest, device)
    _, claims = analyse_and_claim(captured.graph, nest)
    wide = Program(
        captured, nest, torch.device("cpu") if device.type == "mps" else device, wide=True
    )
    return Bench(
        program=program,
        wide=wide,
        raw=raw_readout(program, captured.graph, nest.loops, claims),
        weights=_Weights(target),
        stream=stream,
        device=described(device),
    )


def _with_data(target: Target, request: ProbeRequest) -> tuple[Target, Captured, Stream]:
    """Return the target as it is trained, captured that way, and what it is trained on."""
    from scaleaudit.capture.arguments import named_inputs, with_batch, with_inputs
    from scaleaudit.capture.capturing import capture
    from scaleaudit.loops.finder import find_loops
    from scaleaudit.probe.data import Made, Own, guarded, widened
    from scaleaudit.probe.roles import roles_of

    if target.batches is not None and request.batches is Batches.OWN:
        first = next(guarded(target.batches), None)
        if first is None:
            raise ProbeError("the target's batches are none: the iterable ends at once")
        target = with_batch(target, first)
        called = target
        own = Own(
            target.batches,
            lambda batch: named_inputs(with_batch(called, batch)),
            named_inputs(target),
        )
        return target, capture(target, whole=True), own
    captured = capture(target, whole=True)
    given = named_inputs(target)
    wide = widened(given)
    if wide is not given:
        try:
            larger = with_inputs(target, wide)
            captured, target, given = capture(larger, whole=True), larger, wide
        except CaptureError:
            pass  # the number of examples is built in, so those given have to do
    return target, captured, Made(roles_of(captured.graph, find_loops(captured.graph), given))


class _Weights:
    """Parameters and buffers as the target's own code makes them, seed by seed."""

    def __init__(self, target: Target) -> None:
        """Begin with the target as it was built, which is what seed 0 makes."""
        self._target = target
        self._latest: tuple[int, Mapping[str, Tensor]] = (0, _weights(target))

    def __call__(self, seed: int) -> Mapping[str, Tensor]:
        """Return the weights of a seed."""
        if self._latest[0] != seed:
            with _seeded(seed):
                self._latest = seed, _weights(self._target.rebuild(fake=False))
        return self._latest[1]


def _weights(target: Target) -> Mapping[str, Tensor]:
    from scaleaudit.capture.arguments import named_weights

    return named_weights(target.model)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed all that code draws numbers from, while it builds a model."""
    import torch

    random.seed(seed)
    torch.manual_seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)
    yield
