"""What children answered before, where asking again would come to the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scaleaudit.answers import Survey
from scaleaudit.domain.reads import Seen
from scaleaudit.isolation.jobs import Limits, Outcome, Trouble, TroubleKind
from scaleaudit.wire import read_packed

if TYPE_CHECKING:
    from scaleaudit.caching.cache import Cache

# What a file and its model bring about by themselves; the rest may be the machine's doing.
_LASTING = frozenset(
    {TroubleKind.EMPTY, TroubleKind.TARGET, TroubleKind.CAPTURE, TroubleKind.CONFIG}
)


@dataclass(frozen=True, slots=True)
class Question:
    """What children are asked of a file, by every attempt at it.

    Attributes:
        function: Makes an attempt, in the child.
        asked: Its first arguments, which say what to audit; a path comes first.
    """

    function: str
    asked: tuple[str, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Survey | None
    trouble: Trouble | None
    output: str


class Recall:
    """Looks answers up and keeps them, where there is a cache."""

    def __init__(self, opened: Callable[[], Cache] | None = None) -> None:
        self._opened = opened

    @classmethod
    def at(cls, folder: Path | None, warn: Callable[[str], None]) -> Recall:
        """Open the cache in a folder; None for no cache.

        Args:
            warn: Told why nothing is kept.
        """
        return cls(None if folder is None else partial(_open, folder, warn))

    @property
    def listens(self) -> bool:
        """Whether children should tell what they look at."""
        return self._opened is not None

    @cached_property
    def _cache(self) -> Cache | None:
        """The cache, which is opened when it is first asked: most files hold no model."""
        return self._opened and self._opened()

    def find(self, question: Question) -> Outcome[Survey] | None:
        """Return the answer to a question, if it is known and still right."""
        if self._cache is None:
            return None
        began = time.perf_counter()
        data = self._cache.find(_name(self._cache, question))
        if data is None:
            return None
        try:
            known = read_packed(data, _Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Outcome(known.value, known.trouble, known.output, time.perf_counter() - began)

    def keep(
        self, question: Question, outcome: Outcome[Survey], tried: Sequence[Outcome[Survey]]
    ) -> None:
        """Keep an answer that would come out the same again.

        Args:
            tried: All attempts that led to it.
        """
        if self._cache is None:
            return
        seen = [each.seen for each in tried if _lasts(each)]
        if len(seen) < len(tried) or None in seen:
            return
        answer = msgspec.msgpack.encode(_Answer(outcome.value, outcome.trouble, outcome.output))
        whole = reduce(Seen.and_then, (each for each in seen if each is not None))
        self._cache.keep(_name(self._cache, question), whole, answer)


def _open(folder: Path, warn: Callable[[str], None]) -> Cache:
    from scaleaudit.caching.cache import Cache  # noqa: PLC0415 - for those who have one

    return Cache(folder, warn)


def _name(cache: Cache, question: Question) -> str:
    limits = question.limits
    may = (f"{limits.seconds:g}", str(limits.memory), limits.certify.value)
    path, *rest = question.asked
    return cache.name(path, (question.function, *rest, *may))


def _lasts(outcome: Outcome[Survey]) -> bool:
    """Tell whether an attempt ended as it would again."""
    troubles = [outcome.trouble]
    if outcome.value is not None:
        troubles += [lost.trouble for lost in outcome.value.given_up]
        if outcome.value.only is not None:
            troubles.append(outcome.value.only.trouble)
    return all(trouble is None or trouble.kind in _LASTING for trouble in troubles)
