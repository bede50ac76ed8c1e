"""The early signs that a state has come loose: what is looked for in the lengths, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import LoopFacts, StateFacts, Transition, Visibility, subject_of
from scaleaudit.domain.loops import LoopNest
from scaleaudit.domain.probing import Turn
from scaleaudit.monitoring import thresholds


class SignKind(Enum):
    """What was seen."""

    AUDIT = "audit"
    GROWTH = "growth"
    HEADROOM = "headroom"
    FROZEN = "frozen"
    NOT_FINITE = "not-finite"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Sign:
    """One early sign.

    Attributes:
        loop: The loop and the state that it is about; empty where it is about none.
    """

    kind: SignKind
    step: int
    message: str
    loop: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A state after one turn, as it is looked at for signs.

    Attributes:
        turn: Its lengths.
        dtype: As 'float32'.
        unit: The length that it would have if all its elements were 1.
        room: The largest number of its type over its own largest element.
        unchanged: In a narrow type the share of its elements that are what they were a turn
            before, to the bit; None where that is not known.
    """

    turn: Turn
    dtype: str
    unit: float
    room: float
    unchanged: float | None = None


def is_restrained(state: StateFacts) -> bool:
    """Tell whether the audit knows of something that keeps a state's length from growing."""
    held = state.transition in (Transition.REMOVED, Transition.BOUNDED)
    seen = state.visibility is Visibility.VISIBLE
    return held or seen or any(penalty.effective for penalty in state.penalties)


class Lookout:
    """Watches one state; says of every kind of sign once that it is there."""

    def __init__(self, loop: LoopFacts, state: StateFacts) -> None:
        self._loop, self._state = loop.name, state.name
        self._subject = subject_of(state, loop)
        self._restrained = is_restrained(state)
        self._first: tuple[int, float] | None = None
        self._lasting = dict.fromkeys((SignKind.GROWTH, SignKind.FROZEN), 0)
        self._said: set[SignKind] = set()

    def look(self, step: int, turns: Sequence[Look]) -> tuple[Sign, ...]:
        """Return the signs that are new at a step.

        Args:
            turns: The state after every turn.
        """
        if not turns:
            return ()
        is_first = self._first is None
        if self._first is None:
            self._first = step, turns[-1].turn.mean
        seen = dict(self._seen(turns, is_first=is_first))
        new = {kind: text for kind, text in seen.items() if kind not in self._said}
        self._said |= new.keys()
        return tuple(
            Sign(kind, step, f"{self._subject} {text}", self._loop, self._state)
            for kind, text in new.items()
        )

    def _seen(self, turns: Sequence[Look], *, is_first: bool) -> Iterator[tuple[SignKind, str]]:
        broken = [k for k, at in enumerate(turns, 1) if not math.isfinite(at.turn.largest)]
        if broken:
            yield SignKind.NOT_FINITE, f"holds NaN or infinity after turn {broken[0]}"
            return
        if self._lasts(SignKind.GROWTH, self._has_grown(turns)):
            yield SignKind.GROWTH, self._growth(turns)
        last = turns[-1]
        if last.room < thresholds.ROOM:
            yield (
                SignKind.HEADROOM,
                f"has an element that {last.room:.3g} times as large is infinity in {last.dtype}",
            )
        unchanged = last.unchanged
        frozen = not is_first and unchanged is not None and unchanged >= thresholds.FROZEN
        if self._lasts(SignKind.FROZEN, frozen):
            share = f"{unchanged:.0%} of its elements leave the last turn as they entered it"
            yield SignKind.FROZEN, f"is too long for {last.dtype} to hold what turns write: {share}"

    def _lasts(self, kind: SignKind, seen: bool) -> bool:  # noqa: FBT001 - of two cases
        """Tell whether a sign is seen for so many measurements in a row that it is no accident."""
        self._lasting[kind] = self._lasting[kind] + 1 if seen else 0
        return self._lasting[kind] >= thresholds.LASTING

    def _has_grown(self, turns: Sequence[Look]) -> bool:
        assert self._first is not None
        bar = thresholds.GROWN_RESTRAINED if self._restrained else thresholds.GROWN
        by_steps = turns[-1].turn.mean >= bar * max(self._first[1], turns[-1].unit)
        return by_steps and turns[-1].turn.mean >= thresholds.TURNED * turns[0].turn.mean

    def _growth(self, turns: Sequence[Look]) -> str:
        assert self._first is not None
        since, first = self._first
        last = turns[-1].turn.mean
        why = (
            "though the audit knows of something that restrains it"
            if self._restrained
            else "and the audit knows of nothing that would bring it down again"
        )
        return (
            f"has grown {last / first:.3g}-fold since step {since}: its mean length after turn "
            f"{len(turns)} went from {first:.3g} to {last:.3g} and grows from turn to turn "
            f"({turns[0].turn.mean:.3g} after turn 1), {why}"
        )


def lookouts(loops: Sequence[LoopFacts], nest: LoopNest) -> Mapping[tuple[int, int], Lookout]:
    """Return who watches each state that is measured, by the positions of loop and state.

    Args:
        loops: What the audit knows.
        nest: What is measured.
    """
    known = {
        (loop.name, state.name): (loop, state) for loop in reversed(loops) for state in loop.states
    }
    return {
        (i, j): Lookout(*known.get((loop.name, state.name), _unknown(loop.name, state.name)))
        for i, loop in enumerate(nest.loops)
        for j, state in enumerate(loop.states)
    }


def _unknown(loop: str, state: str) -> tuple[LoopFacts, StateFacts]:
    """Stand in for what the audit does not tell of: nothing is known to restrain it."""
    facts = StateFacts(state, (), "", None, Transition.UNKNOWN, Visibility.UNKNOWN)
    return LoopFacts(loop, 0, None, (facts,)), facts
