"""Which findings answer to which entries of a baseline.

A finding answers to an entry with the same code and the same fault. Beyond that the nearest entry
is looked for: of the same target and statement; then of the same target and subject, for a
statement that was edited; then of a target, or of a file, that is there no more, where only one
can be meant, those before the others whose statement and subject are both unchanged. An entry takes as many findings as it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from scaleaudit.triage.baseline import Entry
from scaleaudit.triage.fingerprints import parsed

# Whether a finding may answer to an entry.
_Rank = Callable[[Entry, Entry], bool]


@dataclass(frozen=True, slots=True)
class Known:
    """What was audited, and what is there, as entries of a baseline name it.

    Attributes:
        targets: The targets that were audited, by path and name.
        is_file: Whether a path of an entry is that of a file.
    """

    targets: frozenset[tuple[str, str]]
    is_file: Callable[[str], bool]


@dataclass(slots=True)
class Matching:
    """Findings, as entries that would accept them, matched one after another."""

    entries: Sequence[Entry]
    known: Known
    taken: Counter[Entry] = field(default_factory=Counter)
    _by_fault: dict[tuple[str, str], list[Entry]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_fault = {}
        for entry in self.entries:
            self._by_fault.setdefault(_fault(entry), []).append(entry)

    def match(self, findings: Sequence[Entry]) -> tuple[Entry | None, ...]:
        """Return the entry that each finding answers to."""
        found: dict[int, Entry] = {}
        for rank in (_same, _edited):
            for index, finding in enumerate(findings):
                fitting = self._fitting(finding, rank) if index not in found else []
                if fitting:
                    self._take(found, index, fitting[0])
        for is_like in (_unchanged, _alike):
            for is_gone in (self._renamed, self._moved):
                self._match_clear(findings, partial(is_gone, is_like), found)
        return tuple(found.get(index) for index in range(len(findings)))

    def _match_clear(
        self,
        findings: Sequence[Entry],
        rank: _Rank,
        found: dict[int, Entry],
    ) -> None:
        """Match where a finding has one entry to answer to, and that entry takes all who do."""
        choices = {
            index: self._fitting(finding, rank)
            for index, finding in enumerate(findings)
            if index not in found
        }
        wanted = Counter(entry for fitting in choices.values() for entry in fitting)
        for index, fitting in choices.items():
            if len(fitting) == 1 and wanted[fitting[0]] <= self._left(fitting[0]):
                found[index] = fitting[0]
        self.taken = Counter(found.values())

    def _fitting(self, finding: Entry, rank: _Rank) -> list[Entry]:
        return [
            entry
            for entry in self._by_fault.get(_fault(finding), ())
            if self._left(entry) > 0 and rank(finding, entry)
        ]

    def _left(self, entry: Entry) -> int:
        return entry.count - self.taken[entry]

    def _take(self, found: dict[int, Entry], index: int, entry: Entry) -> None:
        found[index] = entry
        self.taken[entry] += 1

    def _renamed(self, is_like: _Rank, finding: Entry, entry: Entry) -> bool:
        """Whether the entry is of a target of the file that is there no more."""
        gone = (entry.path, entry.target) not in self.known.targets
        return entry.path == finding.path and gone and is_like(finding, entry)

    def _moved(self, is_like: _Rank, finding: Entry, entry: Entry) -> bool:
        """Whether the entry is of a file that is there no more."""
        return not self.known.is_file(entry.path) and is_like(finding, entry)


def _fault(entry: Entry) -> tuple[str, str]:
    """What must be the same, whatever else was edited."""
    return entry.code, parsed(entry.fingerprint).fault


def _same(finding: Entry, entry: Entry) -> bool:
    return finding.key == entry.key


def _edited(finding: Entry, entry: Entry) -> bool:
    there = (entry.path, entry.target) == (finding.path, finding.target)
    return there and entry.subject == finding.subject


def _unchanged(finding: Entry, entry: Entry) -> bool:
    """Whether both the statement and the subject are the same."""
    statements = (parsed(each.fingerprint).statement for each in (finding, entry))
    return finding.subject == entry.subject and len(set(statements)) == 1


def _alike(finding: Entry, entry: Entry) -> bool:
    """Whether the statement or the subject is the same; one of them may have been changed."""
    statement = parsed(finding.fingerprint).statement
    same = bool(statement) and statement == parsed(entry.fingerprint).statement
    return same or finding.subject == entry.subject
