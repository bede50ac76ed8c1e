"""Probes of targets: `probed` asks for them here, in the parent; `attempt_probe` runs in the child.

The audit comes first and its facts stand whatever becomes of the probe, which is put beside them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from scaleaudit.children import Audited, Desk
from scaleaudit.domain.facts import ProbeOutcome, ProbeVerdict
from scaleaudit.domain.laws import declare_all
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.errors import ConfigError, ScaleAuditError, full_sentence
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
from scaleaudit.wire import read_json

_PROBE = "scaleaudit.probing:attempt_probe"
# Seconds beside the budget in which a target is built and captured, each run once or twice.
_PREPARING = 120.0
# Bytes that a probe may take: what runs on an accelerator is mapped as private memory as well.
_ROOM = 64 << 30

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
            _probed(target, desk, request, told) if _carries(target) else target
            for i, target in enumerate(audited)
            for told in [_Told(Path(folder) / str(i), watch, i, len(audited), _named(target))]
        )


def _carries(target: Audited) -> bool:
    """Whether it has a state that a probe can be asked about."""
    return target.found.facts is not None and bool(target.found.facts.loops)


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
    error = ScaleAuditError(trouble.message, where=trouble.where, hint=trouble.hint)
    return ProbeOutcome(ProbeVerdict.INCONCLUSIVE, reason=full_sentence(error))


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
    from scaleaudit.bench import built, probe_target  # loads torch

    declare_all(decode_laws(laws))
    asked = read_json(request, ProbeRequest)
    original, file = Original(), Path(progress)

    def tell(what: str, step: int, steps: int) -> None:
        counted = f", step {step} of {steps}" if steps > 1 else ""
        file.write_text(f"{what}{counted}")

    tell("building", 0, 1)
    found = decode_plans(plans)
    target = built(path, name, found[0] if found else None)
    original.end_copies()
    return probe_target(target, asked, tell)
