"""The results as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.zoo.architectures import KINDS
from benchmarks.zoo.explanations import Explanation, explain
from benchmarks.zoo.records import Loop, Record, Status

_HEAD = """# The zoo

What scaleaudit says of the architectures that the package `transformers` {version} registers for causal,
masked and sequence-to-sequence language modelling and for image classification: {count} model classes, code
that nobody here wrote. Each is built from its default configuration made small, run once on real tensors,
and audited with its own loss, as `scaleaudit check` audits a file. Nothing is downloaded.

```sh
pip install -e '.[zoo]' -c constraints.txt
python -m benchmarks.zoo --json zoo.jsonl                      # goes on where it was stopped
python -m benchmarks.zoo --json zoo.jsonl --retry failed       # once more, what did not come through
python -m benchmarks.zoo --json new.jsonl --against zoo.jsonl  # what changed
python -m benchmarks.zoo --json zoo.jsonl --page docs/zoo.md   # this page
```
"""

# How the audit names a loop whose turns are calls of a model.
_OF_CALLS = "calls of "

_LOOPS = """
## Loops

Every loop that is reported, with why it is one. A turn without weights in its cycle is a recurrence in time
or along a series: it is reported, and SCL101 is not asked of it.
"""

_CALLS = """
### Caches

These models return a cache that they take. They are called several times, each time with what they returned,
so a state that such a call reads and rewrites is carried. What is only appended to is not.
"""

_UNKNOWN = """
## Unknown

Verdicts that are unknown, with the reason, and operators without a law in audits that they decided nothing of.
"""

_FAILURES = """
## Failures

What was not audited, and what could not be built or run small in the first place.
"""

_FLAGGED = """
## Flagged

Verdicts other than a pass, with every finding.
"""


def to_page(records: Sequence[Record], explanations: Iterable[Explanation], version: str) -> str:
    """Write the page.

    Raises:
        UnexplainedError: A loop has no explanation.
    """
    explained = explain(records, explanations)
    parts = (
        _HEAD.format(version=version, count=len(records)),
        _counts(records),
        _LOOPS,
        _loops([each for each in explained if not _is_of_calls(each[1])]),
        _CALLS,
        _loops([each for each in explained if _is_of_calls(each[1])]),
        _FLAGGED,
        _flagged(records),
        _UNKNOWN,
        _unknowns(records),
        _FAILURES,
        _failures(records),
        "\n## All\n",
        _all(records),
    )
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _counts(records: Sequence[Record]) -> str:
    rows = [_count_row(kind, [r for r in records if r.kind == kind]) for kind in KINDS]
    head = (
        "",
        "architectures",
        "audited",
        "passed",
        "flagged",
        "unknown",
        "not audited",
        "do not run eagerly",
        "do not build",
    )
    return _table(head, [*rows, _count_row("all", records)])


def _count_row(title: str, records: Sequence[Record]) -> tuple[str, ...]:
    by_status = {status: sum(r.status is status for r in records) for status in Status}
    verdicts = [r.verdict for r in records]
    numbers = (
        len(records),
        by_status[Status.AUDITED],
        verdicts.count("pass"),
        verdicts.count("fail") + verdicts.count("warn"),
        verdicts.count("unknown"),
        by_status[Status.NOT_AUDITED],
        by_status[Status.DOES_NOT_RUN],
        by_status[Status.DOES_NOT_BUILD],
    )
    return (title, *map(str, numbers))


def _loops(explained: Sequence[tuple[Record, Loop, str]]) -> str:
    """Show what has the same words once, with all architectures that it is said of."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for record, loop, text in explained:
        states = "; ".join(
            dict.fromkeys(f"`{s.name}` {s.transition}, {s.visibility}" for s in loop.states)
        )
        weights = "yes" if any(s.has_weights for s in loop.states) else "no"
        name = "calls of the model" if _is_of_calls(loop) else f"`{loop.name}`"
        row = (
            name,
            f"`{loop.place}`" if loop.place else "",
            str(loop.turns),
            weights,
            states,
            text,
        )
        shared.setdefault(row, []).append(record.class_name)
    rows = [(", ".join(dict.fromkeys(names)), *row) for row, names in shared.items()]
    return _table(
        ("architecture", "loop", "at", "turns", "weights", "states", "why it is one"), rows
    )


def _is_of_calls(loop: Loop) -> bool:
    """Say whether the turns are calls of the whole model, each given what the last returned."""
    return loop.name.startswith(_OF_CALLS)


def _flagged(records: Sequence[Record]) -> str:
    rows = [
        (r.class_name, r.verdict, f.code, f"`{f.place}`" if f.place else "", f.message)
        for r in records
        if r.verdict in {"fail", "warn"}
        for f in r.findings
    ]
    return _table(("architecture", "verdict", "finding", "at", "says"), rows)


def _unknowns(records: Sequence[Record]) -> str:
    rows = [row for record in records for row in _unknown_rows(record)]
    return _table(("architecture", "verdict", "operator", "at", "why"), rows)


def _unknown_rows(record: Record) -> Iterator[tuple[str, ...]]:
    for unknown in record.unknown:
        place = f"`{unknown.place}`" if unknown.place else ""
        yield record.class_name, record.verdict, f"`{unknown.operator}`", place, unknown.reason
    for reason in record.undecided if record.verdict == "unknown" else ():
        yield record.class_name, record.verdict, "", "", reason


def _failures(records: Sequence[Record]) -> str:
    rows = [
        (r.class_name, r.status.value, r.reason) for r in records if r.status is not Status.AUDITED
    ]
    return _table(("architecture", "", "reason"), rows)


def _all(records: Sequence[Record]) -> str:
    rows = [
        (
            r.class_name,
            r.kind,
            r.verdict or r.status.value,
            str(len(r.loops)),
            " ".join(dict.fromkeys(f.code for f in r.findings)),
            str(r.operators),
            f"{r.seconds:.1f}",
        )
        for r in sorted(records, key=lambda r: (list(KINDS).index(r.kind), r.class_name.lower()))
    ]
    head = ("architecture", "kind", "verdict", "loops", "findings", "operators", "seconds")
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def ordered(records: Mapping[str, Record]) -> tuple[Record, ...]:
    """Return the records by kind and name, however the sweep came by them."""
    kinds = list(KINDS)
    return tuple(
        sorted(records.values(), key=lambda r: (kinds.index(r.kind), r.class_name.lower()))
    )
