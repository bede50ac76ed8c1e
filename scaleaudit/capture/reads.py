"""The book of numbers that were read from tensors during one recording."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from types import FrameType
from typing import Any

from torch import fx

from scaleaudit.capture.oracle import INTEGER, Oracle, innermost_user
from scaleaudit.capture.places import location
from scaleaudit.capture.scalars import Read
from scaleaudit.domain.graph import Location, Note, NoteKind

_GOLDEN = 0.6180339887498949
# Characters from which on a float looks computed, not written.
_LONG = 7
# Runs of equal answers up to which they are told in their order.
_SPELLED_RUNS = 2
_FRACTION = 1 << 22  # so that a value survives a passage through float32


@dataclass(frozen=True, slots=True)
class Variation:
    """How the numbers that are made up differ from recording to recording.

    A constant of the graph that differs between two recordings is no constant: a number that was
    read went into it, out of sight.
    """

    shift: float = 0.0
    step: int = 0


PLAIN = Variation()


class Reads:
    """Recognise numbers that were read, and answer tests on those that nobody knows.

    Attributes:
        unknown: Nodes whose number was made up.
        escapes: Nodes whose number went on as a bare one, out of sight.
    """

    def __init__(
        self,
        oracle: Oracle,
        emit: Callable[[Callable[..., Any], tuple[Any, ...], Any], fx.Node | None],
        note: Callable[[Note], None],
        variation: Variation,
    ) -> None:
        self._oracle = oracle
        self._emit = emit
        self._note = note
        self._shift, self._step = variation.shift, variation.step
        self._count = 0
        self._tags: dict[float, fx.Node] = {}
        self._pending: list[tuple[Any, fx.Node]] = []
        self._answers: dict[Location | None, list[bool]] = {}
        self.unknown: set[fx.Node] = set()
        self.escapes: list[fx.Node] = []

    @property
    def active(self) -> bool:
        """Whether any number was read yet."""
        return bool(self._tags or self._pending or self.unknown)

    def invent(self, frame: FrameType | None, *, floating: bool) -> float | int:
        """Make up a number; a float is one that nothing else in the program is likely to equal."""
        self._count += 1
        if not floating:
            value = INTEGER + self._step
            self.report(f"an integer read from a tensor is taken for {INTEGER}", frame)
            return value
        fraction = (self._count * _GOLDEN + self._shift) % 1.0
        return 0.5 + int(fraction * _FRACTION) / (2 * _FRACTION)

    def guess(self, frame: FrameType | None) -> bool:
        """Answer a test on an unknown value."""
        answer = self._oracle.answer(frame)
        self._answers.setdefault(_place(frame), []).append(answer)
        return answer

    def tell(self) -> None:
        """Note how every test on an unknown value was answered."""
        for where, answers in self._answers.items():
            message = "a branch depends on a value that capture does not compute, taken to be "
            self._note(Note(NoteKind.ORACLE, message + _spelled(answers), where))
        self._answers.clear()

    def report(self, message: str, frame: FrameType | None) -> None:
        """Note that the oracle was asked."""
        self._note(Note(NoteKind.ORACLE, message, _place(frame)))

    # What the numbers themselves call (scalars.Book).

    def compute(self, function: Callable[..., Any], operands: tuple[object, ...]) -> fx.Node | None:
        """Record arithmetic on numbers."""
        nodes = tuple(o.node if isinstance(o, Read) else o for o in operands)
        node = self._emit(function, nodes, function(*map(_plain, operands)))
        if node is not None and any(n in self.unknown for n in nodes if isinstance(n, fx.Node)):
            self.unknown.add(node)
        return node

    def decide(self, node: fx.Node, *, value: bool, greater: bool | None) -> bool:
        """Answer a test: truly where the number is known or torch asks, else by the oracle."""
        frame = sys._getframe(2)
        if node not in self.unknown or innermost_user(frame) is not frame:
            return value
        chosen = None if greater is None else self._oracle.choose(frame, greater=greater)
        if chosen is None:
            return self.guess(frame)
        self.report("a value read from a tensor is taken to win in max() or min()", frame)
        return chosen

    def escaped(self, node: fx.Node) -> None:
        """Note that a number continues as a bare one."""
        self.escapes.append(node)

    def whole(self, node: fx.Node, value: int) -> int:
        """Return an integer for a number: the true one where it is known."""
        if node not in self.unknown or value > 1:
            return value
        self.report(f"an integer read from a tensor is taken for {INTEGER}", sys._getframe(2))
        return INTEGER + self._step

    def tag(self, value: float, node: fx.Node) -> None:
        """Remember a number by its value, unless that is one that programs are full of."""
        if not is_common(value):
            self._tags[float(value)] = node

    # What the recorder asks.

    def expect(self, operands: Any) -> None:
        """Look for numbers that were read among the arguments of an API call."""
        self._pending = [(_plain(o), o.node) for o in _flatten(operands) if isinstance(o, Read)]

    def recognise(self, value: Any) -> Any:
        """Return the node that a bare number stands for, else the number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        for known, node in self._pending:
            if known == value:
                return node
        return self._tags.get(value, value) if isinstance(value, float) else value


def _place(frame: FrameType | None) -> Location | None:
    """Return the line of the user's that a frame is at or was called from."""
    user = innermost_user(frame)
    return None if user is None else location(user.f_code, user.f_lasti)


def _spelled(answers: list[bool]) -> str:
    """Say how a test was answered: "true 4 times, then false"."""
    runs = [(str(answer).lower(), len(list(run))) for answer, run in groupby(answers)]
    if len(runs) > _SPELLED_RUNS:
        kept, left = answers.count(True), answers.count(False)
        return f"true in {kept} and false in {left} of {len(answers)} tests"
    return ", then ".join(a if times == 1 else f"{a} {times} times" for a, times in runs)


def _plain(value: Any) -> Any:
    if not isinstance(value, Read):
        return value
    return float.__float__(value) if isinstance(value, float) else _integer(value)


def _integer(value: Any) -> int:
    return int.__int__(value)


def _flatten(operands: Any) -> list[Any]:
    if isinstance(operands, (tuple, list)):
        return [leaf for operand in operands for leaf in _flatten(operand)]
    if isinstance(operands, dict):
        return _flatten(tuple(operands.values()))
    return [operands]


def is_common(value: float) -> bool:
    """Tell whether a float is as short as what people write."""
    return len(repr(value)) < _LONG
