"""Why every reported loop is a real one: sentences of people who read the architecture's code."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo.records import Loop, Record


class UnexplainedError(Exception):
    """A loop is reported that nobody has explained."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sentence on a loop, for the architectures that have it.

    Attributes:
        loop: The name of the loop; ``*`` at its end stands for any end.
        classes: The architectures whose code was read.
    """

    loop: str
    classes: frozenset[str]
    text: str

    def covers(self, record: Record, loop: Loop) -> bool:
        """Say whether it is about that loop."""
        if record.class_name not in self.classes:
            return False
        if self.loop.endswith("*"):
            return loop.name.startswith(self.loop[:-1])
        return loop.name == self.loop


def read_explanations(path: Path) -> tuple[Explanation, ...]:
    """Read the sentences of a file."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Explanation(entry["loop"], frozenset(entry["classes"]), entry["text"])
        for entry in content.get("explanation", ())
    )


def explain(
    records: Iterable[Record], explanations: Iterable[Explanation]
) -> tuple[tuple[Record, Loop, str], ...]:
    """Pair every loop with its sentence.

    Raises:
        UnexplainedError: Loops have none; it names them all.
    """
    explanations = tuple(explanations)
    pairs = [
        (record, loop, next((e.text for e in explanations if e.covers(record, loop)), ""))
        for record in records
        for loop in record.loops
    ]
    missing = dict.fromkeys(f"{r.class_name}: {loop.name}" for r, loop, text in pairs if not text)
    if missing:
        raise UnexplainedError(f"loops without an explanation: {', '.join(missing)}")
    return tuple(pairs)
