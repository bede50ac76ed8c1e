"""Every target of the given files, audited in child processes of its own, one an attempt.

The function that runs in the child is in api.py; it is named here, not imported, so that this
side never loads what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from scaleaudit.answers import Survey, TargetFacts
from scaleaudit.config import Settings
from scaleaudit.domain.attempts import (
    Attempt,
    Failure,
    first_reason,
    most_telling,
    next_attempt,
)
from scaleaudit.domain.plans import Plan
from scaleaudit.domain.report import Skip, Skipped
from scaleaudit.isolation.jobs import (
    DEFAULT_LIMITS,
    Job,
    Limits,
    Outcome,
    Trouble,
    TroubleKind,
    encode_laws,
    encode_plans,
)
from scaleaudit.isolation.pool import Pool
from scaleaudit.isolation.runner import OnDemand, run
from scaleaudit.recall import Question, Recall
from scaleaudit.sources import Request, declares_target, passed_over

_ATTEMPT, _PLAN = "scaleaudit.api:attempt_audit", "scaleaudit.api:attempt_plan"
_Done = TypeVar("_Done")

# Called with how many are done, of how many, and what the last one was.
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Audited:
    """A target with what its child came back with.

    Attributes:
        asked: What it was asked for by, a name or a plan; empty where the file has it alone.
    """

    path: str
    found: TargetFacts
    output: str
    seconds: float
    asked: str | Plan = ""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A file with the target audited on the way, those still to audit, or why it has none.

    Attributes:
        pending: What is still to audit, by name or by plan.
        skipped: What of it is left out, and why.
    """

    request: Request
    done: tuple[Audited, ...] = ()
    pending: tuple[str | Plan, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What every audit has at hand."""

    workers: OnDemand
    recall: Recall
    limits: Limits = DEFAULT_LIMITS
    settings: Settings = field(default_factory=Settings)


def is_empty(known: Surveyed | None) -> bool:
    """Tell whether it is known of a file that it holds nothing to audit."""
    return known is not None and not known.done and not known.pending


def look_all(requests: tuple[Request, ...], desk: Desk) -> tuple[Surveyed | None, ...]:
    """Answer what needs no child; None for the others, for which the workers are started."""
    looked: list[Surveyed | None] = []
    for request in requests:
        looked.append(_look(desk, request))
        if looked[-1] is None:
            desk.workers.start()
    return tuple(looked)


def survey_all(
    requests: tuple[Request, ...],
    looked: tuple[Surveyed | None, ...],
    pool: Pool,
    desk: Desk,
    watch: Watch,
) -> tuple[Surveyed, ...]:
    """List the targets of every file; a file with a single one comes back audited.

    Args:
        looked: What is known of each file without a child.
    """
    unknown = [request for request, known in zip(requests, looked, strict=True) if known is None]
    surveyed = pool.map(partial(_survey, desk), unknown)
    results = (known or next(surveyed) for known in looked)
    return tuple(_watched(results, [request.path for request in requests], watch))


def audit_all(
    surveyed: tuple[Surveyed, ...], pool: Pool, desk: Desk, watch: Watch
) -> tuple[Audited, ...]:
    """Audit the targets that the survey left, and return all of them in the files' order.

    A target that was asked for by its name and beside others of its file is told of once.
    """
    pending = [(file.request.path, asked) for file in surveyed for asked in file.pending]
    names = [f"{path}::{_name(asked)}" for path, asked in pending]
    results = _watched(pool.map(partial(_audit, desk), pending), names, watch)
    found = [
        (file.request, target)
        for file in surveyed
        for target in (*file.done, *(next(results) for _ in file.pending))
    ]
    named = {(request.path, target.found.name) for request, target in found if request.name}
    return tuple(
        target
        for request, target in found
        if request.name or (target.path, target.found.name) not in named
    )


def _name(asked: str | Plan) -> str:
    return asked if isinstance(asked, str) else asked.name


def _watched(results: Iterable[_Done], names: list[str], watch: Watch) -> Iterator[_Done]:
    if names:
        watch(0, len(names), names[0])
    for done, result in enumerate(results, start=1):
        watch(done, len(names), names[done - 1])
        yield result


def _audit(desk: Desk, pending: tuple[str, str | Plan]) -> Audited:
    path, asked = pending
    laws = encode_laws(desk.settings.laws_for(Path(path)))
    if isinstance(asked, Plan):
        question = Question(_PLAN, (path, encode_plans((asked,)), laws), desk.limits)
    else:
        question = Question(_ATTEMPT, (path, asked, encode_plans(()), laws), desk.limits)
    outcome = desk.recall.find(question) or _try_all(desk, question)
    return replace(_audited(path, _found(outcome, _name(asked)), outcome), asked=asked)


def _look(desk: Desk, request: Request) -> Surveyed | None:
    """Say what is known of a file without running it."""
    entries = desk.settings.targets_for(Path(request.path))
    skipped = None if request.named or entries else passed_over(request.path)
    if skipped is not None:
        return Surveyed(request, skipped=(skipped,))
    outcome = desk.recall.find(_question(desk, request, entries))
    return None if outcome is None else _surveyed(request, entries, outcome)


def _survey(desk: Desk, request: Request) -> Surveyed:
    entries = desk.settings.targets_for(Path(request.path))
    return _surveyed(request, entries, _try_all(desk, _question(desk, request, entries)))


def _question(desk: Desk, request: Request, entries: tuple[Plan, ...]) -> Question:
    laws = encode_laws(desk.settings.laws_for(Path(request.path)))
    asked = (request.path, request.name or "", encode_plans(entries), laws)
    return Question(_ATTEMPT, asked, desk.limits)


def _surveyed(request: Request, entries: tuple[Plan, ...], outcome: Outcome[Survey]) -> Surveyed:
    found = outcome.value
    if found is not None and (found.plans or len(found.names) > 1):
        return _to_audit(request, found, outcome)
    if found is not None and found.given_up:
        return _nothing_built(request, found, outcome)
    only = _with_advice(_found(outcome, request.name or ""), request)
    if only.trouble is not None and _is_passed_over(request, entries):
        return Surveyed(request, skipped=(_left_out(request.path, only.trouble),))
    return Surveyed(request, done=(_audited(request.path, only, outcome),))


def _with_advice(only: TargetFacts, request: Request) -> TargetFacts:
    """Say what may keep a file from coming to an end that has no target function to run."""
    trouble = only.trouble
    if trouble is None or trouble.kind is not TroubleKind.TIME or declares_target(request.path):
        return only
    hint = (
        "Guard what should only run as a script with `if __name__ == '__main__':`, "
        f"or declare a target in scaleaudit_target(). {trouble.hint}"
    )
    return replace(only, trouble=replace(trouble, hint=hint))


def _to_audit(request: Request, found: Survey, outcome: Outcome[Survey]) -> Surveyed:
    """Go on with what was found; a whole model that was not is told of where it was asked for."""
    failed = [lost for lost in found.given_up if lost.whole and request.named]
    done = (
        _audited(request.path, TargetFacts(lost.name, trouble=lost.trouble), outcome)
        for lost in failed
    )
    skipped = (
        _left_out(f"{request.path}::{lost.name}", lost.trouble)
        for lost in found.given_up
        if lost not in failed
    )
    return Surveyed(request, tuple(done), found.plans or found.names, tuple(skipped))


def _nothing_built(request: Request, found: Survey, outcome: Outcome[Survey]) -> Surveyed:
    """Tell of the models that a file defines and that could not be built or called."""
    lost = [each for each in found.given_up if each.whole] or found.given_up[:1]
    if not request.named:
        skipped = (_left_out(request.path, each.trouble) for each in lost)
        return Surveyed(request, skipped=tuple(skipped))
    done = (
        _audited(request.path, TargetFacts(each.name, trouble=each.trouble), outcome)
        for each in lost
    )
    return Surveyed(request, tuple(done))


def _try_all(desk: Desk, question: Question) -> Outcome[Survey]:
    """Attempt a target in one way after the other, each in a fresh child, until one does.

    Returns:
        What the good attempt said, or that which failed most tellingly.
    """
    outcomes: list[Outcome[Survey]] = []
    failures: list[Failure] = []
    attempt: Attempt | None = Attempt.FAKES
    while attempt is not None:
        left = replace(question.limits, spent=_seconds(outcomes))
        may = (f"{left.left:g}", left.certify.value)
        arguments = (*question.asked, attempt.value, first_reason(failures), *may)
        job = Job(question.function, arguments, left, watched=desk.recall.listens)
        outcomes.append(run(desk.workers, job, Survey))
        failure = _failure(attempt, outcomes[-1])
        if failure is None:
            chosen = outcomes[-1]
            break
        failures.append(failure)
        attempt = next_attempt(failures)
    else:
        chosen = outcomes[most_telling(failures)]
    desk.recall.keep(question, chosen, outcomes)
    return replace(chosen, seconds=_seconds(outcomes))


def _seconds(outcomes: list[Outcome[Survey]]) -> float:
    return sum(outcome.seconds for outcome in outcomes)


def _failure(attempt: Attempt, outcome: Outcome[Survey]) -> Failure | None:
    """Say how an attempt failed; None where it did not."""
    if outcome.value is not None and outcome.value.only is None:
        return None
    found = _found(outcome, "")
    trouble = found.trouble
    if trouble is None or found.failure is not None:
        return found.failure
    return Failure(
        attempt,
        cause=trouble.kind.value,
        reason=trouble.message,
        built=trouble.kind not in {TroubleKind.EMPTY, TroubleKind.TARGET},
        telling=trouble.kind in _TELLING,
        # Compiled code that was handed a tensor without memory may bear one that has some.
        curable=trouble.kind is TroubleKind.FAULT,
    )


def _found(outcome: Outcome[Survey], name: str) -> TargetFacts:
    only = outcome.value and outcome.value.only
    return only or TargetFacts(name, trouble=outcome.trouble or _NO_MODEL)


def _is_passed_over(request: Request, entries: tuple[Plan, ...]) -> bool:
    """Tell whether a file that comes to no target is listed only: nobody named or declared any."""
    return not (request.named or entries or declares_target(request.path))


def _left_out(name: str, trouble: Trouble) -> Skipped:
    empty = trouble.kind is TroubleKind.EMPTY
    return Skipped(name, trouble.message, Skip.NO_MODEL if empty else Skip.NOT_BUILT)


def _audited(path: str, found: TargetFacts, outcome: Outcome[Survey]) -> Audited:
    return Audited(path, found, outcome.output, outcome.seconds)


_TELLING = frozenset({TroubleKind.EMPTY, TroubleKind.TARGET, TroubleKind.CAPTURE})
_NO_MODEL = Trouble(
    TroubleKind.EMPTY,
    "it holds no model that can be built without arguments",
    hint="Add a function scaleaudit_target() that returns "
    '{"model": ..., "args": (...), "loss": ...}.',
)
