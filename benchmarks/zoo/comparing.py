"""What changed from an earlier sweep, architecture by architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.zoo.records import Record


@dataclass(frozen=True, slots=True)
class Change:
    """Something of an architecture that two sweeps say otherwise of."""

    class_name: str
    what: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.class_name}: {self.what}: {self.before or 'none'} -> {self.now or 'none'}"


def compare(now: Mapping[str, Record], before: Mapping[str, Record]) -> tuple[Change, ...]:
    """Return the differences between two sweeps; seconds and places are none."""
    return tuple(change for name in {**before, **now} for change in _changes(name, now, before))


def _changes(
    name: str, now: Mapping[str, Record], before: Mapping[str, Record]
) -> Iterator[Change]:
    new, old = now.get(name), before.get(name)
    if new is None or old is None:
        said = ("swept", "not swept") if new is None else ("not swept", "swept")
        yield Change(name, "sweep", *said)
        return
    for what, (then, today) in _aspects(old, new).items():
        if then != today:
            yield Change(name, what, then, today)


def _aspects(old: Record, new: Record) -> dict[str, tuple[str, str]]:
    return {what: (said, _said(new)[what]) for what, said in _said(old).items()}


def _said(record: Record) -> dict[str, str]:
    return {
        "outcome": record.verdict or record.status.value,
        "reason": record.reason,
        "findings": ", ".join(sorted(finding.code for finding in record.findings)),
        "loops": "; ".join(
            f"{loop.name} ({', '.join(f'{s.name} {s.transition} {s.visibility}' for s in loop.states)})"
            for loop in record.loops
        ),
        "unknown": ", ".join(sorted({unknown.operator for unknown in record.unknown})),
    }
