"""What an analysis claims of single values, so that numbers can be held against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scaleaudit.domain.facts import PenaltyFlaw, Transition, Visibility
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Degree, Interval, Scale


@dataclass(frozen=True, slots=True)
class TurnClaim:
    """What one turn is said to do to the length of a state.

    Attributes:
        entered: The value that the turn was given.
        made: The value that it hands on.
        gain: The factor on the identity path, where the state is all that is handed on.
        floored: Whether the lower end of the gain bounds lengths too: nothing that is handed on
            can cancel, and none of it is left out.
        largest: Whether the gain bounds the largest element, not the length.
        others: Whether other values than the one that entered are handed on as well.
    """

    state: str
    entered: Ref
    made: Ref
    transition: Transition
    gain: Interval | None
    branch: Degree
    floored: bool
    largest: bool
    others: bool


@dataclass(frozen=True, slots=True)
class TermClaim:
    """How a term of the loss is said to answer to a state.

    Attributes:
        visibility: For readouts; None for penalties.
        flaw: For penalties; None for those that restrain the state.
        degree: The degree of the term; None where unknown.
        heard: Whether a gradient path leads from it to the state.
    """

    state: str
    name: str
    value: Ref
    visibility: Visibility | None
    flaw: PenaltyFlaw | None
    degree: Degree | None
    heard: bool

    @property
    def is_penalty(self) -> bool:
        """Whether it was taken for an attempt to restrain the length."""
        return self.visibility is None


@dataclass(frozen=True, slots=True)
class PassClaims:
    """What one pass over the program claims.

    Attributes:
        scaled: The boundary values that were free inputs, scaled together.
        held: Those that were cut and stay as they are.
        heard: The scaled ones that gradients reach.
        values: The scale of every value that the states reach.
        inflow: The scale of what the program computes for every boundary value.
        terms: The terms of the loss, where one state is scaled by itself.
        complete: Whether nothing else in the loss has a gradient path to the state.
    """

    scaled: tuple[Ref, ...]
    held: tuple[Ref, ...]
    heard: tuple[Ref, ...]
    values: Mapping[Ref, Scale]
    inflow: Mapping[Ref, Scale]
    turns: tuple[TurnClaim, ...] = ()
    terms: tuple[TermClaim, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class LoopClaims:
    """Everything that is claimed of one loop."""

    name: str
    passes: tuple[PassClaims, ...]
