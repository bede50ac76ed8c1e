"""The unified diffs of fixes, read for formats that show less than a whole diff, or other than one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scaleaudit.domain.finding import Fix
from scaleaudit.report.terminal import Ink, Style, copied, printable

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_NO_END = "\\ No newline at end of file"
# What is known of a change that nobody tried.
UNTRIED = "suggested, not audited"


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of a file that others take the place of.

    Attributes:
        line: The number of the first of them; where none is taken, of that before which some are
            added.
        ends: Whether every line has an end, the last one of the file too.
    """

    line: int
    taken: tuple[str, ...]
    added: tuple[str, ...]
    ends: bool = True


def path_of(diff: str) -> str:
    """Return the file that a diff is of, as the diff names it."""
    head = next(iter(diff.splitlines()), "")
    return head.removeprefix("--- a/")


def changes_of(diff: str) -> tuple[Change, ...]:
    """Return what a diff changes, without the lines around."""
    ends = _NO_END not in diff
    found: list[Change] = []
    number, taken, added = 0, list[str](), list[str]()
    for line in (*diff.split("\n")[2:], " "):
        hunk = _HUNK.match(line)
        if hunk is not None or line[:1] not in ("-", "+"):
            if taken or added:
                found.append(Change(number - len(taken), tuple(taken), tuple(added), ends))
                taken, added = [], []
            # A hunk without old lines names the line before it.
            number = int(hunk[1]) + (hunk[2] == "0") if hunk is not None else number + 1
        elif line.startswith("-"):
            taken.append(line[1:])
            number += 1
        else:
            added.append(line[1:])
    return tuple(found)


def change_lines(fix: Fix, ink: Ink) -> Iterator[str]:
    """Write what a fix changes for a terminal: what is to be known of it, and the lines that differ."""
    path = path_of(fix.diff)
    if fix.note:
        yield printable(fix.note)
    for change in changes_of(fix.diff):
        yield f"{ink(Style.MARGIN, '-->')} {printable(path)}:{change.line} ({UNTRIED})"
        yield from (ink(Style.ERROR, f"- {copied(line.rstrip())}") for line in change.taken)
        yield from (ink(Style.GOOD, f"+ {copied(line.rstrip())}") for line in change.added)
