"""Every target of the given files, audited in child processes of its own, one an attempt.

The function that runs in the child is in api.py; it is named here, not imported, so that this
side never loads what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from scaleaudit.domain.attempts import (
    Attempt,
    Failure,
    first_reason,
    most_telling,
    next_attempt,
)
from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.isolation.jobs import Job, Limits, Outcome, Trouble, TroubleKind
from scaleaudit.isolation.pool import Pool
from scaleaudit.isolation.runner import Runner, run
from scaleaudit.sources import Request, declares_target, reason_to_skip

_ATTEMPT = "scaleaudit.api:attempt_audit"
_Done = TypeVar("_Done")

# Called with how many are done, of how many, and what the last one was.
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a child found out of a target: its readable name, and facts or trouble.

    Attributes:
        failure: Beside a trouble that another attempt may not meet.
    """

    name: str
    facts: ScaleFacts | None = None
    trouble: Trouble | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file declares; one target comes audited, which saves a child."""

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
    path, name = asked
    outcome = _try_all(workers, limits, path, name)
    return _audited(path, _found(outcome, name), outcome)


def _survey(workers: Runner, limits: Limits, request: Request) -> Surveyed:
    if request.name is not None:
        return Surveyed(request, names=(request.name,))
    reason = None if request.named else reason_to_skip(request.path)
    if reason:
        return Surveyed(request, skipped=reason)
    outcome = _try_all(workers, limits, request.path)
    if outcome.value is not None and len(outcome.value.names) > 1:
        return Surveyed(request, names=outcome.value.names)
    found = _found(outcome, "")
    if _holds_no_model(request, found):
        return Surveyed(request, skipped=found.trouble.message if found.trouble else "")
    return Surveyed(request, done=(_audited(request.path, found, outcome),))


def _try_all(workers: Runner, limits: Limits, path: str, name: str = "") -> Outcome[Survey]:
    """Attempt a target in one way after the other, each in a fresh child, until one does.

    Returns:
        What the good attempt said, or that which failed most tellingly.
    """
    outcomes: list[Outcome[Survey]] = []
    failures: list[Failure] = []
    attempt: Attempt | None = Attempt.FAKES
    while attempt is not None:
        spent = _seconds(outcomes)
        arguments = (path, name, attempt.value, first_reason(failures))
        outcomes.append(
            run(workers, Job(_ATTEMPT, arguments, replace(limits, spent=spent)), Survey)
        )
        failure = _failure(attempt, outcomes[-1])
        if failure is None:
            return replace(outcomes[-1], seconds=_seconds(outcomes))
        failures.append(failure)
        attempt = next_attempt(failures)
    return replace(outcomes[most_telling(failures)], seconds=_seconds(outcomes))


def _seconds(outcomes: list[Outcome[Survey]]) -> float:
    return sum(outcome.seconds for outcome in outcomes)


def _failure(attempt: Attempt, outcome: Outcome[Survey]) -> Failure | None:
    """Say how an attempt failed; None where it did not."""
    found = _found(outcome, "")
    trouble = found.trouble
    if trouble is None or found.failure is not None:
        return found.failure
    return Failure(
        attempt,
        cause=trouble.kind.value,
        reason=trouble.message,
        built=trouble.kind is not TroubleKind.TARGET,
        telling=trouble.kind in {TroubleKind.TARGET, TroubleKind.CAPTURE},
        # Compiled code that was handed a tensor without memory may bear one that has some.
        curable=trouble.kind is TroubleKind.FAULT,
    )


def _found(outcome: Outcome[Survey], name: str) -> TargetFacts:
    only = outcome.value and outcome.value.only
    return only or TargetFacts(name, trouble=outcome.trouble or _NO_MODEL)


def _holds_no_model(request: Request, only: TargetFacts) -> bool:
    """Tell whether a file that nobody named failed for want of a target, not in one."""
    failed = only.trouble is not None and only.trouble.kind is TroubleKind.TARGET
    return failed and not request.named and not declares_target(request.path)


def _audited(path: str, found: TargetFacts, outcome: Outcome[Survey]) -> Audited:
    return Audited(path, found, outcome.output, outcome.seconds)


_NO_MODEL = Trouble(
    TroubleKind.TARGET,
    "it holds no model that can be built without arguments",
    hint="Add a function scaleaudit_target() that returns "
    '{"model": ..., "args": (...), "loss": ...}.',
)
