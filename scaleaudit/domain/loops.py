"""Weight-tied loops of a captured program and the states they carry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.graph import Location, Ref


class TurnsFrom(Enum):
    """What decides how often a loop turns.

    FIXED: a number in the code, or what the model holds since it was built. ARGUMENT: an argument
    of the model's call. RANDOM: a number that is drawn. DATA: the shape of a tensor.
    """

    FIXED = "fixed"
    ARGUMENT = "argument"
    RANDOM = "random"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class CarriedState:
    """A value that a loop hands from one turn to the next.

    Attributes:
        name: The user's variable that holds it, else a description.
        boundary: The values that cross, in order: after turn 1, after turn 2, ..., after the
            last turn. The value that enters turn 1 is ``initial``.
        initial: The value that entered the first turn, where it could be told.
        location: The line that produced it in the last turn.
    """

    name: str
    boundary: tuple[Ref, ...]
    initial: Ref | None
    location: Location | None


@dataclass(frozen=True, slots=True)
class Loop:
    """A weight-tied loop: its states, its turns, the operators of its body.

    Attributes:
        body: Ids of the nodes that recur, all turns together.
        turns: How often the body ran in the captured program.
        weights: Identities of the tied parameters.
        turns_from: What decides how often it turns; None where that is not known.
    """

    name: str
    turns: int
    location: Location | None
    states: tuple[CarriedState, ...]
    body: frozenset[int]
    weights: frozenset[int]
    turns_from: TurnsFrom | None = None


@dataclass(frozen=True, slots=True)
class LoopNest:
    """Every loop of a program, in the order in which they start."""

    loops: tuple[Loop, ...]
