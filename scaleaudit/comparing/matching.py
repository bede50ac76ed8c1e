"""Which of two reports' things are the same thing: by name first, then by what it looks like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias, TypeVar

from scaleaudit.domain.facts import LoopFacts, Penalty, Readout, StateFacts
from scaleaudit.domain.report import TargetReport

Item = TypeVar("Item")
Key: TypeAlias = "Callable[[Item], Hashable]"
Pairs: TypeAlias = "list[tuple[Item | None, Item | None]]"


def pair(before: Sequence[Item], after: Sequence[Item], keys: Sequence[Key[Item]]) -> Pairs[Item]:
    """Pair what is equal by the first key, then what is left by the next, in order.

    Returns:
        Every item once, those of ``after`` in their order and then what is gone.
    """
    partners: dict[int, int] = {}
    left_before, left_after = list(range(len(before))), list(range(len(after)))
    for key in keys:
        waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
        for index in left_before:
            waiting[key(before[index])].append(index)
        for index in left_after:
            if found := waiting[key(after[index])]:
                partners[index] = found.pop(0)
        left_before = [index for index in left_before if index not in partners.values()]
        left_after = [index for index in left_after if index not in partners]
    pairs: Pairs[Item] = [
        (before[partners[index]] if index in partners else None, item)
        for index, item in enumerate(after)
    ]
    return pairs + [(before[index], None) for index in left_before]


def pair_targets(
    before: Sequence[TargetReport], after: Sequence[TargetReport]
) -> Pairs[TargetReport]:
    """Pair targets by path and name, then by either, so that what was renamed is found again."""
    pairs = pair(before, after, (lambda t: (t.path, t.name), lambda t: t.name, lambda t: t.path))
    gone = [old for old, new in pairs if new is None]
    come = [new for old, new in pairs if old is None]
    if len(gone) == 1 and len(come) == 1:  # two reports of one target each are of the same one
        kept = [(old, new) for old, new in pairs if old is not None and new is not None]
        return [*kept, (gone[0], come[0])]
    return pairs


def pair_loops(before: Sequence[LoopFacts], after: Sequence[LoopFacts]) -> Pairs[LoopFacts]:
    """Pair loops by name, then by what they carry."""
    return pair(before, after, (lambda loop: loop.name, _carried, lambda loop: len(loop.states)))


def _carried(loop: LoopFacts) -> Hashable:
    return tuple(sorted((state.shape, state.dtype) for state in loop.states))


def pair_states(before: Sequence[StateFacts], after: Sequence[StateFacts]) -> Pairs[StateFacts]:
    """Pair states by name, then by shape: a variable may be renamed, a width is seldom changed."""
    return pair(
        before,
        after,
        (lambda state: state.name, lambda state: (state.shape, state.dtype), _rank),
    )


def _rank(state: StateFacts) -> Hashable:
    return len(state.shape)


def pair_readouts(before: Sequence[Readout], after: Sequence[Readout]) -> Pairs[Readout]:
    """Pair readouts by name, then by whether they are in the loss."""
    return pair(before, after, (lambda readout: readout.name, lambda readout: readout.supervised))


def pair_penalties(before: Sequence[Penalty], after: Sequence[Penalty]) -> Pairs[Penalty]:
    """Pair penalties by name, then in order."""
    return pair(before, after, (lambda penalty: penalty.name, lambda _: None))
