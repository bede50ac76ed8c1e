"""The Markdown of a rule page: front matter, title, sections and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.errors import RuleError
from scaleaudit.rules.rule import Block, Needs

SECTIONS = (
    "What it does",
    "Why it is bad",
    "How it is decided",
    "Known limits",
    "Bad",
    "Good",
    "References",
)
MAXIMUM_SIZE = 64_000  # bytes of a page
_FENCE = re.compile(r"^(`{3,}|~{3,})\s*(\w*)")
_MARKER = "# finding: "
_MARKED = re.compile(r"# finding: (\w+)")
_PROBE = "# probe: "
_ENDED = re.compile(rf"^# probe: ({'|'.join(v.value for v in ProbeVerdict)})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page, split.

    Attributes:
        front: Text of the front matter, whose first line is line 2 of the file.
        body: Everything after the front matter, first line ``body_line``.
    """

    front: str
    body: str
    body_line: int
    title: str
    title_line: int
    section_lines: dict[str, int]
    blocks: tuple[Block, ...]


@dataclass(slots=True)
class _Section:
    name: str
    line: int
    filled: bool = False


def split(text: str, path: str) -> Page:
    """Split a page and check its sections.

    Raises:
        RuleError: If the front matter, the title, a section or a code block is missing.
    """
    lines = text.removesuffix("\n").split("\n")
    end = next((i for i, line in enumerate(lines) if i > 0 and line.rstrip() == "---"), 0)
    if lines[0].rstrip() != "---" or not end:
        raise RuleError(
            "no front matter between two lines of ---",
            where=f"{path}:1",
            hint="`scaleaudit rule new CODE NAME` writes a page that is in order.",
        )
    scan = _Scan(path)
    for number, line in enumerate(lines[end + 1 :], start=end + 2):
        scan.read(number, line)
    scan.finish(len(lines))
    return Page(
        front="\n".join(lines[1:end]) + "\n",
        body="\n".join(lines[end + 1 :]).strip("\n") + "\n",
        body_line=end + 2,
        title=scan.title,
        title_line=scan.title_line,
        section_lines=scan.section_lines(),
        blocks=tuple(scan.blocks),
    )


def check_blocks(page: Page, code: str, needs: Needs | None, path: str) -> None:
    """Demand that Bad and Good hold Python, that Bad marks its lines, and what else they need."""
    for section in ("Bad", "Good"):
        blocks = [block for block in page.blocks if block.section == section]
        if not blocks:
            raise RuleError(
                f"the section {section} has no ```python block",
                where=f"{path}:{page.section_lines[section]}",
                hint="Put a complete model file with a scaleaudit_target function into one.",
            )
        for block in blocks:
            _check_mark(block, code, path)
            _check_outcome(block, needs, path)


def _check_mark(block: Block, code: str, path: str) -> None:
    marked = any(each == code for _, each in marks(block))
    if marked != (block.section == "Bad"):
        verb = "marks no line" if block.section == "Bad" else "marks a line"
        raise RuleError(
            f"a block of {block.section} {verb} with `{_MARKER}{code}`",
            where=f"{path}:{block.line}",
        )


def _check_outcome(block: Block, needs: Needs | None, path: str) -> None:
    if (block.probe is not None) != (needs is Needs.PROBE):
        words = ", ".join(verdict.value for verdict in ProbeVerdict)
        message = (
            f"a block says how its training ended, and the page has no `needs: {Needs.PROBE.value}`"
            if needs is None
            else f"a block does not say how its training ended: `{_PROBE}...` with one of {words}"
        )
        raise RuleError(message, where=f"{path}:{block.line}")


def marks(block: Block) -> Iterator[tuple[int, str]]:
    """Yield the lines of a block, from 1, that are to be found, with the codes."""
    for number, line in enumerate(block.code.split("\n"), start=1):
        for match in _MARKED.finditer(line):
            yield number, match.group(1)


def _outcome(code: str) -> ProbeVerdict | None:
    match = _ENDED.search(code)
    return ProbeVerdict(match.group(1)) if match else None


class _Scan:
    """One pass over the lines of a body."""

    def __init__(self, path: str) -> None:
        self.title = ""
        self.title_line = 0
        self.blocks: list[Block] = []
        self._path = path
        self._sections: list[_Section] = []
        self._fence = ""
        self._python = False
        self._code: list[str] = []
        self._code_line = 0

    def read(self, number: int, line: str) -> None:
        """Take one line in."""
        if self._fence:
            self._inside_fence(line)
        elif match := _FENCE.match(line):
            self._fence, self._python = match.group(1), match.group(2) == "python"
            self._code, self._code_line = [], number + 1
        elif line.startswith("## "):
            self._open_section(number, line.removeprefix("## ").strip())
            return
        elif line.startswith("# "):
            self._open_title(number, line.removeprefix("# ").strip())
            return
        if line.strip() and self._sections:
            self._sections[-1].filled = True

    def finish(self, last: int) -> None:
        """Check that everything was there."""
        if self._fence:
            raise self._refused(self._code_line - 1, "the code block is never closed")
        if not self.title:
            raise self._refused(last, "no title: `# CODE name`")
        for section in self._sections:
            if not section.filled:
                raise self._refused(section.line, f"the section {section.name} is empty")
        if len(self._sections) < len(SECTIONS):
            missing = SECTIONS[len(self._sections)]
            raise self._refused(last, f"the section {missing} is missing")

    def section_lines(self) -> dict[str, int]:
        """The lines of the sections' headings."""
        return {section.name: section.line for section in self._sections}

    def _inside_fence(self, line: str) -> None:
        if line.strip() != self._fence:
            self._code.append(line)
            return
        self._fence = ""
        if self._python and self._sections:
            code = "\n".join(self._code) + "\n"
            name = self._sections[-1].name
            self.blocks.append(Block(name, self._code_line, code, _outcome(code)))

    def _open_title(self, number: int, title: str) -> None:
        if self.title:
            raise self._refused(number, "a second title")
        self.title, self.title_line = title, number

    def _open_section(self, number: int, name: str) -> None:
        names = [section.name for section in self._sections]
        if name not in SECTIONS:
            raise self._refused(number, f"unknown section {name}; they are {', '.join(SECTIONS)}")
        if name in names:
            raise self._refused(number, f"the section {name} appears twice")
        expected = SECTIONS[len(names)]
        if name != expected:
            raise self._refused(number, f"the section {expected} is missing before {name}")
        self._sections.append(_Section(name, number))

    def _refused(self, line: int, message: str) -> RuleError:
        return RuleError(message, where=f"{self._path}:{line}")
