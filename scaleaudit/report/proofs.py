"""Proofs as numbered notes; what repeats layer after layer is shown once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scaleaudit.domain.facts import ProofStep
from scaleaudit.report.excerpt import Sources, place
from scaleaudit.report.terminal import Ink, Style, Verbatim, printable
from scaleaudit.report.words import counted


@dataclass(frozen=True, slots=True)
class Run:
    """Steps that follow one another, and how often that very sequence occurs in a row."""

    steps: tuple[ProofStep, ...]
    times: int


def fold(steps: tuple[ProofStep, ...]) -> Iterator[Run]:
    """Split a proof into runs, so that twelve equal layers are one run of twelve."""
    places: dict[ProofStep, list[int]] = {}
    for index, step in enumerate(steps):
        places.setdefault(step, []).append(index)
    start = 0
    while start < len(steps):
        again = (index - start for index in places[steps[start]] if index > start)
        period, times = _longest_repeat(steps, start, again)
        yield Run(steps[start : start + period], times)
        start += period * times


def _longest_repeat(
    steps: tuple[ProofStep, ...], start: int, periods: Iterable[int]
) -> tuple[int, int]:
    """Return the period whose repeats cover most steps from here on; the shortest such one."""
    best, covered = (1, 1), 1
    for period in periods:
        unit = steps[start : start + period]
        times = 1
        while steps[start + times * period : start + (times + 1) * period] == unit:
            times += 1
        if times > 1 and times * period > covered:
            best, covered = (period, times), times * period
        if start + covered == len(steps):
            break
    return best


def proof_lines(steps: tuple[ProofStep, ...], sources: Sources, ink: Ink) -> Iterator[str]:
    """Yield the notes of a proof: place, what happened to the degree, the source line."""
    number = 0
    pad = len(str(len(steps)))
    for run in fold(steps):
        first = number + 1
        for step in run.steps:
            number += 1
            yield from _note(number, pad, step, sources, ink)
        if run.times > 1:
            times = counted(run.times - 1, "more time")
            what = (
                f"step {first} repeats" if first == number else f"steps {first} to {number} repeat"
            )
            yield f"{' ' * (pad + 2)}{ink(Style.FAINT, f'... {what} {times}')}"
            number += len(run.steps) * (run.times - 1)


def _note(number: int, pad: int, step: ProofStep, sources: Sources, ink: Ink) -> Iterator[str]:
    where = f"{place(step.location)}: " if step.location else ""
    text = f"{where}{printable(step.text)}"
    yield f"{number:>{pad}}. {text}"
    source = sources.line(step.location.path, step.location.line) if step.location else None
    if source is not None:
        yield Verbatim(f"{' ' * pad}  {ink(Style.MARGIN, '|')} {printable(source.strip())}")
