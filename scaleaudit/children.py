"""Every target of the given files, audited in a child process of its own.

The functions that run in the child are in api.py; they are named here, not imported, so that
this side never loads what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.isolation.jobs import Job, Limits, Outcome, Trouble, TroubleKind
from scaleaudit.isolation.pool import Pool
from scaleaudit.isolation.runner import Runner, run
from scaleaudit.sources import Request, declares_target, reason_to_skip

_SURVEY, _AUDIT_TARGET = "scaleaudit.api:survey", "scaleaudit.api:audit_target"
_Done = TypeVar("_Done")

# Called with how many are done, of how many, and what the last one was.
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a child found out of a target: its readable name, and facts or trouble."""

    name: str
    facts: ScaleFacts | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file declares; a single target comes audited, which saves a child."""

    names: tuple[str, ...]
    only: TargetFacts | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """A target with what its child came back with."""

    path: str
    found: TargetFacts
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A file with the target audited on the way, those still to audit, or why it has none."""

    request: Request
    done: tuple[Audited, ...] = ()
    names: tuple[str, ...] = ()
    skipped: str = ""


def survey_all(
    requests: tuple[Request, ...], pool: Pool, workers: Runner, limits: Limits, watch: Watch
) -> tuple[Surveyed, ...]:
    """List the targets of every file; a file with a single one comes back audited."""
    results = pool.map(partial(_survey, workers, limits), requests)
    names = [request.path for request in requests]
    return tuple(_watched(results, names, watch))


def audit_all(
    surveyed: tuple[Surveyed, ...], pool: Pool, workers: Runner, limits: Limits, watch: Watch
) -> tuple[Audited, ...]:
    """Audit the targets that the survey left, and return all of them in the files' order."""
    pending = [(file.request.path, name) for file in surveyed for name in file.names]
    names = ["::".join(target) for target in pending]
    results = _watched(pool.map(partial(_audit, workers, limits), pending), names, watch)
    return tuple(
        target for file in surveyed for target in (*file.done, *(next(results) for _ in file.names))
    )


def _watched(results: Iterable[_Done], names: list[str], watch: Watch) -> Iterator[_Done]:
    if names:
        watch(0, len(names), names[0])
    for done, result in enumerate(results, start=1):
        watch(done, len(names), names[done - 1])
        yield result


def _audit(workers: Runner, limits: Limits, asked: tuple[str, str]) -> Audited:
    outcome = run(workers, Job(_AUDIT_TARGET, asked, limits), TargetFacts)
    path, name = asked
    return _audited(path, outcome.value or TargetFacts(name, trouble=outcome.trouble), outcome)


def _survey(workers: Runner, limits: Limits, request: Request) -> Surveyed:
    if request.name is not None:
        return Surveyed(request, names=(request.name,))
    reason = None if request.named else reason_to_skip(request.path)
    if reason:
        return Surveyed(request, skipped=reason)
    outcome = run(workers, Job(_SURVEY, (request.path,), limits), Survey)
    found = outcome.value
    if found is not None and len(found.names) > 1:
        return Surveyed(request, names=found.names)
    only = (found and found.only) or TargetFacts("", trouble=outcome.trouble or _NO_MODEL)
    if _holds_no_model(request, only):
        return Surveyed(request, skipped=only.trouble.message if only.trouble else "")
    return Surveyed(request, done=(_audited(request.path, only, outcome),))


def _holds_no_model(request: Request, only: TargetFacts) -> bool:
    """Tell whether a file that nobody named failed for want of a target, not in one."""
    failed = only.trouble is not None and only.trouble.kind is TroubleKind.TARGET
    return failed and not request.named and not declares_target(request.path)


def _audited(
    path: str, found: TargetFacts, outcome: Outcome[TargetFacts] | Outcome[Survey]
) -> Audited:
    return Audited(path, found, outcome.output, outcome.seconds)


_NO_MODEL = Trouble(
    TroubleKind.TARGET,
    "it holds no model that can be built without arguments",
    hint="Add a function scaleaudit_target() that returns "
    '{"model": ..., "args": (...), "loss": ...}.',
)
