"""Which finding of a report somebody means, by a part of its fingerprint or by its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from scaleaudit.domain.explanation import Match
from scaleaudit.domain.finding import Finding
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport
from scaleaudit.errors import ConfigError

# Fewer digits than these name a line or nothing.
_FEWEST_DIGITS = 4
_FINGERPRINT = re.compile(rf"[0-9a-fA-F]{{{_FEWEST_DIGITS},64}}(-[0-9a-fA-F]{{0,64}})?(\.\d+)?")
_PLACE = re.compile(r"(?P<path>.+?):(?P<line>[0-9]{1,9})(?::[0-9]{1,9})?")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks about; a rule and a state narrow it down.

    Attributes:
        fingerprint: The first digits of a fingerprint, where one was given.
        path: The file of a line, where one was given.
    """

    text: str
    fingerprint: str = ""
    path: str = ""
    line: int = 0
    code: str = ""
    state: str = ""


def read_question(text: str, code: str = "", state: str = "") -> Question:
    """Read ``FINGERPRINT`` or ``FILE:LINE``, and what narrows it down.

    Raises:
        ConfigError: It is neither.
    """
    if _FINGERPRINT.fullmatch(text):
        return Question(text, fingerprint=text.lower(), code=code.upper(), state=state)
    if match := _PLACE.fullmatch(text):
        path, line = match["path"], int(match["line"])
        return Question(text, path=path, line=line, code=code.upper(), state=state)
    raise ConfigError(
        f"{text!r} is neither a fingerprint nor a line of a file",
        hint=f"Name a finding as model.py:79, or by {_FEWEST_DIGITS} or more digits of its "
        "fingerprint (in --format json) with the path of its target.",
    )


def find(report: Report, question: Question) -> tuple[Match, ...]:
    """Return the finding that is meant: once, or once a target that has the very same.

    Raises:
        ConfigError: Nothing is meant, or several findings may be.
    """
    everything = tuple(_matches(report))
    found = _asked(everything, question)
    if not found:
        raise ConfigError(
            f"no finding answers to {_named(question)}", hint=_listed("There are", everything)
        )
    first = found[0].finding
    if any(_identity(match.finding) != _identity(first) for match in found[1:]):
        raise ConfigError(
            f"{len(found)} findings answer to {_named(question)}",
            hint=_listed("Name one by its line or fingerprint, with --code or --state:", found),
        )
    return found


def _matches(report: Report) -> Iterator[Match]:
    for target in report.targets:
        yield from (Match(target, finding) for finding in target.findings)
        for suppressed in target.suppressed:
            yield Match(target, suppressed.finding, suppressed)


def _asked(matches: tuple[Match, ...], question: Question) -> tuple[Match, ...]:
    kept = [match for match in matches if _fits(match.finding, question)]
    if question.fingerprint:
        return tuple(m for m in kept if m.finding.fingerprint.startswith(question.fingerprint))
    for places in (_starts, _spans, _mentions):  # the narrowest sense in which a line has any
        if found := tuple(m for m in kept if places(m, question)):
            return found
    return ()


def _fits(finding: Finding, question: Question) -> bool:
    about = f"state `{question.state}` of " if question.state else ""
    return question.code in ("", finding.code) and finding.subject.startswith(about)


def _starts(match: Match, question: Question) -> bool:
    place = _place(match.finding, match.target)
    return _same_file(place.path, question.path) and place.line == question.line


def _spans(match: Match, question: Question) -> bool:
    place = _place(match.finding, match.target)
    return _same_file(place.path, question.path) and place.line <= question.line <= max(
        place.line, place.end_line
    )


def _mentions(match: Match, question: Question) -> bool:
    finding = match.finding
    places = (*(related.location for related in finding.related), *finding.anchors)
    return any(
        _same_file(place.path, question.path) and place.line == question.line for place in places
    )


def _place(finding: Finding, target: TargetReport) -> Location:
    return finding.location or Location(target.path, 1)


def _same_file(path: str, asked: str) -> bool:
    return PurePath(path) == PurePath(asked)


def _identity(finding: Finding) -> tuple[object, ...]:
    return finding.code, finding.fingerprint, finding.location, finding.subject


def _named(question: Question) -> str:
    return " and ".join(part for part in (question.text, question.code, question.state) if part)


def _listed(intro: str, matches: tuple[Match, ...]) -> str:
    """List findings that may be meant, each with what names it."""
    if not matches:
        return "Nothing was found at all."
    lines = [_line(match) for match in matches[:_LISTED]]
    if len(matches) > _LISTED:
        lines.append(f"and {len(matches) - _LISTED} more")
    return "; ".join((f"{intro} {lines[0]}", *lines[1:]))


def _line(match: Match) -> str:
    finding = match.finding
    known = f" ({finding.fingerprint})" if finding.fingerprint else ""
    return f"{_place(finding, match.target)} {finding.code}{known} of {finding.subject or 'it'}"
