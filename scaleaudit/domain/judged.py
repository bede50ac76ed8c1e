"""What the verdicts on a state were read from, so that it can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scaleaudit.domain.facts import Penalty, Readout
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Scale


class Scales(Protocol):
    """The scales of one pass over a program.

    Attributes:
        seeds: The values that were cut and made free inputs, or held.
        inflow: For every one of them the scale of what the program computes for it.
    """

    seeds: dict[Ref, Scale]
    inflow: dict[Ref, Scale]

    def __getitem__(self, ref: Ref) -> Scale:
        """Return the scale of a value."""

    def depends(self, ref: Ref) -> bool:
        """Whether the states reach a value."""


@dataclass(frozen=True, slots=True)
class JudgedTerm:
    """A value that reads a state: a term of the loss, or a projection that reaches none.

    Attributes:
        head: The last node before it that uses a weight matrix, where one does.
    """

    value: Ref
    head: int | None
    judged: Readout | Penalty


@dataclass(frozen=True, slots=True)
class JudgedState:
    """The passes and values that the facts of one state were read from.

    Attributes:
        moving: The pass in which its transition was judged.
        end: The value that the transition was read from.
        cut: Whether that is a value at a boundary, so that its inflow is meant.
        alone: The pass in which the state is scaled by itself.
        heard: The same as gradients flow.
    """

    moving: Scales
    end: Ref
    cut: bool
    alone: Scales
    heard: Scales
    terms: tuple[JudgedTerm, ...]
