"""Comments written into sources, so that today's findings are accepted where they stand."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scaleaudit.domain.finding import Finding
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import TargetReport
from scaleaudit.domain.selection import ALWAYS_REPORTED
from scaleaudit.triage.comments import comments_of, with_codes, written
from scaleaudit.triage.sources import SourceFile
from scaleaudit.triage.suppressing import IDLE_CODE

REASON = "accepted as it was; say why"


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A finding for which no comment could be written, and why."""

    finding: Finding
    why: str


@dataclass(slots=True)
class Annotated:
    """New contents of files by path, what they accept with the lines, and what was left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    accepted: list[tuple[Finding, Location]] = field(default_factory=list)
    left_out: list[Unwritten] = field(default_factory=list)


def annotate(
    targets: Iterable[TargetReport],
    files: Mapping[str, SourceFile],
    reason: str,
    refusal: Callable[[TargetReport, str], str],
) -> Annotated:
    """Write a comment for every finding that is left.

    Args:
        files: The sources that findings name, by path.
        reason: What to write behind the codes.
        refusal: Why a file is not to be written to for a target; empty where it may be.
    """
    done = Annotated()
    drafts: dict[str, _Draft] = {}
    for target in targets:
        for finding in target.findings:
            why = _unfit(finding, files) or refusal(target, _place(finding).path)
            if why:
                done.left_out.append(Unwritten(finding, why))
                continue
            path = _place(finding).path
            draft = drafts.setdefault(path, _Draft(files[path]))
            line = draft.accept(finding, reason)
            if line:
                done.accepted.append((finding, Location(path, line)))
            else:
                done.left_out.append(Unwritten(finding, "no comment can stand at its statement"))
    done.files = {path: draft.file.data for path, draft in drafts.items() if draft.changed}
    return done


def _unfit(finding: Finding, files: Mapping[str, SourceFile]) -> str:
    """Say why no comment can accept a finding; empty where one can."""
    if finding.code in ALWAYS_REPORTED:
        return f"{finding.code} cannot be accepted"
    if finding.code == IDLE_CODE:
        return "it is about a comment: correct or delete that"
    if finding.location is None:
        return "it has no place in a file"
    file = files.get(finding.location.path)
    if file is None:
        return "its file cannot be read"
    return _illegible(file)


def _illegible(file: SourceFile) -> str:
    text = file.text
    if not file.tokens or file.tree is None or not text:
        return "its file cannot be read as Python"
    if "\r" in text.replace("\r\n", ""):
        return "its file ends lines as old Macs did"
    if text.encode(file.encoding) != file.data:
        return f"its file is not what its encoding {file.encoding} makes of its text"
    return ""


def _place(finding: Finding) -> Location:
    return finding.location or Location("", 0)


@dataclass(slots=True)
class _Draft:
    """A file while comments are written into it."""

    file: SourceFile
    changed: bool = False

    def accept(self, finding: Finding, reason: str) -> int:
        """Write a comment for a finding and return its line, 0 where none can stand."""
        place = _place(finding)
        lines = self.file.line_of(place.line)
        for comment in comments_of(self.file):
            if comment.location.line in lines and finding.code in comment.codes:
                return comment.location.line  # of another target of the file
        for line in self._candidates(place.line, lines):
            attempt = self._with_comment(line, finding.code, reason)
            if attempt is not None and _same_program(self.file, attempt):
                self.file, self.changed = attempt, True
                return line
        return 0

    def _candidates(self, number: int, lines: range) -> Iterator[int]:
        """Yield the lines of a statement where a comment may stand, the best first."""
        texts = self.file.lines
        legal = [line for line in lines if line in self.file.legal_lines]
        legal = [line for line in legal if not texts[line - 1].startswith("#!")]
        yield from sorted(
            legal, key=lambda line: (_is_bare(texts[line - 1]), line != number, -line)
        )

    def _with_comment(self, line: int, code: str, reason: str) -> SourceFile | None:
        texts = list(self.file.lines)
        body = texts[line - 1].rstrip("\r\n")
        end = texts[line - 1][len(body) :]
        column = next((t.start[1] for t in self.file.comments if t.start[0] == line), None)
        if column is None:
            body = f"{body.rstrip()}  {written((code,), reason)}"
        else:
            body = body[:column] + with_codes(body[column:], (code,), reason)
        texts[line - 1] = body + end
        try:
            data = "".join(texts).encode(self.file.encoding)
        except UnicodeEncodeError:
            return None
        return SourceFile(self.file.path, data)


def _is_bare(text: str) -> bool:
    """Whether a line holds nothing but a comment, or nothing."""
    return not text.strip() or text.lstrip().startswith("#")


def _same_program(before: SourceFile, after: SourceFile) -> bool:
    if before.tree is None or after.tree is None:
        return False
    return ast.dump(before.tree) == ast.dump(after.tree)
