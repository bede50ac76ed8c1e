"""The stage in the parent: fixes of findings, each with a change of the user's own lines if there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from scaleaudit.domain.about import place_of
from scaleaudit.domain.facts import ScaleFacts, StateFacts
from scaleaudit.domain.finding import Finding, Fix, FixKind
from scaleaudit.files import encoding_of
from scaleaudit.fixing.edits import Edits, norm_between, penalty, raw_readout, turns_made_raw
from scaleaudit.fixing.source import Source, changed, diff

# Returns what a file holds; None where it cannot be read.
Read = Callable[[str], bytes | None]

_UTF_8 = ("utf-8", "utf-8-sig")

_MAKERS: dict[FixKind, Callable[[StateFacts, Source], Edits | None]] = {
    FixKind.NORM_BETWEEN: norm_between,
    FixKind.PENALTY: penalty,
    FixKind.RAW_READOUT: raw_readout,
}


def with_diffs(findings: tuple[Finding, ...], facts: ScaleFacts, read: Read) -> tuple[Finding, ...]:
    """Add to the fixes of findings what they would change in the user's files."""
    files = _Files(read)
    return tuple(_with_diffs(finding, facts, files) for finding in findings)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that was asked for; ``why_not`` says of one that can be read why it is not changed."""

    source: Source | None = None
    why_not: str = ""


class _Files:
    """The files that were asked for, each read and parsed once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, _Opened] = {}

    def __getitem__(self, path: str) -> _Opened:
        if path not in self._known:
            self._known[path] = self._opened(path)
        return self._known[path]

    def _opened(self, path: str) -> _Opened:
        data = self._read(path) if path.isprintable() else None  # a diff has it in a line
        if data is None:
            return _Opened()
        encoding = encoding_of(data)
        if encoding not in _UTF_8 and not data.isascii():
            return _Opened(why_not=f"No change is written: the file is not UTF-8 but {encoding}.")
        try:
            return _Opened(Source(path, data.decode()))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return _Opened()


def _with_diffs(finding: Finding, facts: ScaleFacts, files: _Files) -> Finding:
    if not any(fix.kind for fix in finding.fixes):
        return finding
    place = place_of(finding, facts)
    if place is None:
        return finding
    state = facts.loops[place[0]].states[place[1]]
    return replace(finding, fixes=tuple(_changing(fix, state, files) for fix in finding.fixes))


def _changing(fix: Fix, state: StateFacts, files: _Files) -> Fix:
    """Return a fix with what it changes, in the first file where it can be made."""
    if fix.kind is None:
        return fix
    paths = _paths(fix.kind, state)
    for source in (files[path].source for path in paths):
        edits = _MAKERS[fix.kind](state, source) if source is not None else None
        if source is not None and edits:
            text = changed(source, edits)
            before, after = f"{source.mark}{source.text}", f"{source.mark}{text}"
            notes = " ".join(_notes(fix.kind, state, source))
            return replace(fix, diff=diff(source.path, before, after), note=notes) if text else fix
    why_not = next((files[path].why_not for path in paths if files[path].why_not), "")
    return replace(fix, note=why_not)


def _notes(kind: FixKind, state: StateFacts, source: Source) -> Iterator[str]:
    """Yield what is to be known of a change that was made."""
    turns = turns_made_raw(state, source) if kind is FixKind.RAW_READOUT else 0
    if turns > 1:
        yield f"This line runs for {turns} turns, and all of them are read raw with the change."
    if "\r\n" in source.text:
        yield "The file has CRLF line ends, and so has the change; a copy of it may not."


def _paths(kind: FixKind, state: StateFacts) -> list[str]:
    if kind is not FixKind.RAW_READOUT:
        return [state.handover.location.path] if state.handover else []
    places = (norm.location.path for readout in state.readouts for norm in readout.norms)
    return list(dict.fromkeys(places))
