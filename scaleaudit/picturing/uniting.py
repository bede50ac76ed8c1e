"""Ways into the loss that are one: the same at several turns, or of the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from scaleaudit.domain.facts import Penalty, Readout
from scaleaudit.domain.judged import JudgedTerm
from scaleaudit.picturing.flows import Vertex


def united(terms: Iterable[JudgedTerm]) -> list[JudgedTerm]:
    """Return each way into the loss once, whatever the turns that it reads: the last stands for all."""
    found: dict[object, JudgedTerm] = {}
    for term in sorted(terms, key=lambda each: each.value.node):
        key = term.judged.name, _sameness(term.judged)
        found[key] = _both(found[key], term) if key in found else term
    return list(found.values())


def together(
    terms: list[tuple[JudgedTerm, Vertex]], part_at: Callable[[Vertex], int]
) -> list[tuple[JudgedTerm, Vertex]]:
    """Return once what is judged the same and drawn as the same part, what matters most first."""
    found: dict[object, tuple[JudgedTerm, Vertex]] = {}
    for term, end in terms:
        key = part_at(end), _sameness(term.judged)
        if key in found:
            first, known_end = found[key]
            found[key] = replace(first, judged=_both(term, first).judged), known_end
        else:
            found[key] = term, end
    return sorted(found.values(), key=lambda each: _rank(each[0].judged))


def _both(first: JudgedTerm, second: JudgedTerm) -> JudgedTerm:
    """Let the second stand for both, with the turns that either reads."""
    if not (isinstance(first.judged, Readout) and isinstance(second.judged, Readout)):
        return second
    turns = tuple(sorted({*first.judged.turns, *second.judged.turns}))
    return replace(second, judged=replace(second.judged, turns=turns))


def _sameness(judged: Readout | Penalty) -> object:
    """What makes a term the same at every turn, besides its name."""
    if isinstance(judged, Penalty):
        return judged.location, judged.flaw
    return judged.location, judged.visibility, judged.supervised, judged.degree


def _rank(judged: Readout | Penalty) -> int:
    """What is drawn first: what is trained on, then what could be."""
    if isinstance(judged, Penalty):
        return 1
    return 0 if judged.supervised else 2
