"""The stage in the parent: fixes of findings, each with a change of the user's own lines if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scaleaudit.domain.about import place_of
from scaleaudit.domain.facts import ScaleFacts, StateFacts
from scaleaudit.domain.finding import Finding, Fix, FixKind
from scaleaudit.fixing.edits import Edits, norm_between, penalty, raw_readout
from scaleaudit.fixing.source import Source, changed, diff

# Returns the text of a file; None where it cannot be read.
Read = Callable[[str], str | None]

_MAKERS: dict[FixKind, Callable[[StateFacts, Source], Edits | None]] = {
    FixKind.NORM_BETWEEN: norm_between,
    FixKind.PENALTY: penalty,
    FixKind.RAW_READOUT: raw_readout,
}


def with_diffs(findings: tuple[Finding, ...], facts: ScaleFacts, read: Read) -> tuple[Finding, ...]:
    """Add to the fixes of findings what they would change in the user's files."""
    files = _Files(read)
    return tuple(_with_diffs(finding, facts, files) for finding in findings)


class _Files:
    """The files that were asked for, each read and parsed once."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[str, Source | None] = {}

    def source(self, path: str) -> Source | None:
        """Return a file; None where it is no Python that can be read."""
        if path not in self._known:
            self._known[path] = self._opened(path)
        return self._known[path]

    def _opened(self, path: str) -> Source | None:
        text = self._read(path) if path.isprintable() else None  # a diff has it in a line
        try:
            return Source(path, text) if text is not None else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _with_diffs(finding: Finding, facts: ScaleFacts, files: _Files) -> Finding:
    if not any(fix.kind for fix in finding.fixes):
        return finding
    place = place_of(finding, facts)
    if place is None:
        return finding
    state = facts.loops[place[0]].states[place[1]]
    fixes = tuple(replace(fix, diff=_diff(fix, state, files)) for fix in finding.fixes)
    return replace(finding, fixes=fixes)


def _diff(fix: Fix, state: StateFacts, files: _Files) -> str:
    """Return what a fix changes, in the first file where it can be made."""
    if fix.kind is None:
        return ""
    for path in _paths(fix.kind, state):
        source = files.source(path)
        edits = _MAKERS[fix.kind](state, source) if source is not None else None
        if source is not None and edits:
            text = changed(source, edits)
            return diff(path, source.text, text) if text else ""
    return ""


def _paths(kind: FixKind, state: StateFacts) -> list[str]:
    if kind is not FixKind.RAW_READOUT:
        return [state.handover.location.path] if state.handover else []
    places = (norm.location.path for readout in state.readouts for norm in readout.norms)
    return list(dict.fromkeys(places))
