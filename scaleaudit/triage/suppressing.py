"""Which findings comments accept, and which comments accept nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from scaleaudit.domain.finding import (
    CommentFlaw,
    Finding,
    IdleComment,
    Suppressed,
    SuppressionKind,
)
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport
from scaleaudit.domain.selection import ALWAYS_REPORTED
from scaleaudit.triage.comments import Comment, comments_of
from scaleaudit.triage.sources import SourceFile

# The finding that a comment is idle. It can be accepted, but not by the comment that it is about.
IDLE_CODE = "SCL905"


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of rules.

    Attributes:
        known: All that there are.
        asked: Whether a rule was asked of a file, by path and code.
    """

    known: tuple[str, ...]
    asked: Callable[[str, str], bool]


@dataclass(slots=True)
class Comments:
    """The comments of all files of a run, and for which of their codes they accepted something."""

    files: Mapping[str, SourceFile]
    found: dict[str, list[Comment]] = field(init=False)
    used: set[tuple[Location, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.found = {path: list(comments_of(file)) for path, file in self.files.items()}

    def sift(self, target: TargetReport) -> TargetReport:
        """Move the findings of a target that comments accept to those suppressed."""
        left: list[Finding] = []
        accepted = list(target.suppressed)
        for finding in target.findings:
            comment = self._accepting(finding)
            if comment is None:
                left.append(finding)
            else:
                self.used.add((comment.location, finding.code))
                accepted.append(_suppressed(finding, comment))
        return replace(target, findings=tuple(left), suppressed=tuple(accepted))

    def idle(self, path: str, codes: Codes) -> Iterator[IdleComment]:
        """Yield what comments of a file name in vain, except where a rule was not asked."""
        for comment in self.found.get(path, ()):
            yield from _wrong(comment, codes)
            unused = tuple(
                code
                for code in comment.codes
                if code != IDLE_CODE and self._is_unused(comment, code, codes)
            )
            if unused:
                yield _unused(comment, unused)

    def idle_of_idle(self, path: str, codes: Codes) -> Iterator[IdleComment]:
        """Yield the comments of a file that accept reports of idle ones, in vain."""
        for comment in self.found.get(path, ()):
            if IDLE_CODE in comment.codes and self._is_unused(comment, IDLE_CODE, codes):
                yield _unused(comment, (IDLE_CODE,))

    def _is_unused(self, comment: Comment, code: str, codes: Codes) -> bool:
        asked = code in codes.known and codes.asked(comment.location.path, code)
        can_be = code not in ALWAYS_REPORTED
        return asked and can_be and (comment.location, code) not in self.used

    def _accepting(self, finding: Finding) -> Comment | None:
        """Return the nearest comment that accepts a finding."""
        if finding.code in ALWAYS_REPORTED or finding.location is None:
            return None
        for path, lines in self._lines(finding):
            for comment in self.found.get(path, ()):
                here = comment.location.line in lines and finding.code in comment.codes
                if here and not _is_about(finding, comment):
                    return comment
        return None

    def _lines(self, finding: Finding) -> Iterator[tuple[str, range]]:
        """Yield the lines on which a comment can accept a finding, the nearest first."""
        places = [place for place in (finding.location, *finding.anchors) if place is not None]
        known = [(place, self.files[place.path]) for place in places if place.path in self.files]
        yield from ((file.path, file.line_of(place.line)) for place, file in known)
        for place, file in known:
            yield from ((file.path, lines) for lines in file.around(place.line))


def _suppressed(finding: Finding, comment: Comment) -> Suppressed:
    return Suppressed(finding, SuppressionKind.COMMENT, comment.reason, comment.location)


def _wrong(comment: Comment, codes: Codes) -> Iterator[IdleComment]:
    """Yield what no run could make of a comment."""
    place = comment.location
    if not comment.codes:
        why = "names no rule and so accepts nothing (write ignore[CODE] with the reason)"
        yield IdleComment(place, (), CommentFlaw.NO_CODE, why)
    for code in comment.codes:
        if code in ALWAYS_REPORTED:
            why = f"names {code}, which cannot be accepted: without an audit there is no verdict"
            yield IdleComment(place, (code,), CommentFlaw.NOT_SUPPRESSIBLE, why)
        elif code not in codes.known:
            why = f"names {code}, and there is no such rule{_meant(code, codes.known)}"
            yield IdleComment(place, (code,), CommentFlaw.UNKNOWN_CODE, why)


def _unused(comment: Comment, codes: tuple[str, ...]) -> IdleComment:
    why = f"accepts {' and '.join(codes)}, and there is no such finding here"
    return IdleComment(comment.location, codes, CommentFlaw.UNUSED, why)


def _is_about(finding: Finding, comment: Comment) -> bool:
    """Whether a finding reports that very comment: none accepts a report of itself."""
    return finding.code == IDLE_CODE and finding.location == comment.location


def _meant(code: str, known: Iterable[str]) -> str:
    """Say what a comment may have meant: one rule, as comments take no prefixes."""
    can_be = [each for each in known if each not in ALWAYS_REPORTED]
    if any(each.startswith(code) for each in can_be):
        return " (a comment names whole codes, not the start of several)"
    nearest = difflib.get_close_matches(code, can_be, n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
