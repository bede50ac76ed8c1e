"""The ways of capturing a target, their order, and which of their failures tells the user most.

One that failed leaves caches of fakes, patched globals and half-built modules in the user's
objects, so each is made in a fresh process; who starts those needs to know what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Certify(Enum):
    """Which models' facts are held against numbers."""

    NEVER = "never"
    SMALL = "small"
    ANY = "any"


class Attempt(Enum):
    """What a target is built of, and how it is recorded."""

    FAKES = "fakes"
    BUILT_REAL = "built-real"
    REAL = "real"
    EXPORT = "export"

    @property
    def builds_fakes(self) -> bool:
        """Whether the target is built of tensors without memory."""
        return self is Attempt.FAKES


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that came to nothing.

    Attributes:
        cause: The kind of error.
        reason: The error in one line.
        built: Whether the target was built and then could not be recorded.
        telling: Whether the error is the program's own, not one of the world that it ran in.
        curable: Whether another attempt may do.
    """

    attempt: Attempt
    cause: str
    reason: str
    built: bool
    telling: bool
    curable: bool


def next_attempt(failures: Sequence[Failure]) -> Attempt | None:
    """Choose what to try after these failures, unless it is bound to fail as they did."""
    last = failures[-1]
    if not last.curable:
        return None
    if not last.built:
        return Attempt.BUILT_REAL if last.attempt is Attempt.FAKES else None
    match last.attempt:
        case Attempt.FAKES | Attempt.BUILT_REAL:
            return Attempt.REAL
        case Attempt.REAL:
            causes = [failure.cause for failure in failures if failure.built]
            return None if len(causes) > 1 and len(set(causes)) == 1 else Attempt.EXPORT
        case Attempt.EXPORT:
            return None


def most_telling(failures: Sequence[Failure]) -> int:
    """Return the index of the failure that says most to the user.

    What real tensors say is what the user would see; export speaks of export.
    """
    came_far = [failure for failure in failures if failure.built] or failures
    telling = [f for f in came_far if f.telling and f.attempt is not Attempt.EXPORT]
    return failures.index((telling or came_far)[-1])


def first_reason(failures: Sequence[Failure]) -> str:
    """Say why the first recording failed, for the note on the one that did not."""
    return next((failure.reason for failure in failures if failure.built), "")
