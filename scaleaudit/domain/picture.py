"""A loop as a picture: what a turn does to a state and what the loss reads of it, in a few boxes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.graph import Location


class BoxKind(Enum):
    """What a box stands for, by what the analysis found out of it.

    STATE: the state at a boundary, all turns together. OTHER: another state of the loop.
    SOURCE: what enters the turn from elsewhere, whatever the state is. NORM: the length is divided
    out. ADD: a sum that the state itself goes through. GATE: a factor on the state itself.
    OPERATORS: everything else. UNKNOWN: an operator that is not understood.
    """

    STATE = "state"
    OTHER = "other state"
    SOURCE = "source"
    NORM = "norm"
    ADD = "add"
    GATE = "gate"
    OPERATORS = "operators"
    READOUT = "readout"
    PENALTY = "penalty"
    LOSS = "loss"
    UNKNOWN = "unknown"


class Role(Enum):
    """What an edge hands on of the scale of the state.

    CARRIES: as the state is scaled, so is what flows here. LOST: it was divided out on the way.
    PLAIN: it flattens, is held, or is not known.
    """

    CARRIES = "carries"
    LOST = "lost"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Box:
    """A few operators, or one that matters.

    Attributes:
        label: What people call it: a module, a variable, an operator.
        detail: What is in it, in a few words.
        operators: How many operators it stands for; 0 where it is none.
    """

    id: int
    kind: BoxKind
    label: str
    detail: str = ""
    location: Location | None = None
    operators: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """A value that one box hands to another.

    Attributes:
        degree: How it grows with the state, in words: "degree 1", "fading", "unknown".
        recurrent: Whether it leads on to the next turn.
        silent: Whether no gradient flows back along it, so that the loss does not hear of it.
    """

    source: int
    target: int
    degree: str
    role: Role
    recurrent: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Fold:
    """Boxes that stand for so many runs of the same code in a row, as of equal layers."""

    boxes: tuple[int, ...]
    times: int


@dataclass(frozen=True, slots=True)
class Picture:
    """One turn of a loop as one of its states goes through it, and its ways into the loss.

    Boxes are numbered from 0 so that every edge but a recurrent one leads to a larger number.

    Attributes:
        note: What is not in it, and why; empty where all of it is.

    Raises:
        ValueError: An edge or a fold has no box, leads back, or it is not about one state; pictures
            are read from files, too.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    folds: tuple[Fold, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if [box.id for box in self.boxes] != list(range(len(self.boxes))):
            raise ValueError("the boxes of a picture are not numbered in order")
        if sum(box.kind is BoxKind.STATE for box in self.boxes) != 1:
            raise ValueError("a picture is not about one state")
        ends = {end for edge in self.edges for end in (edge.source, edge.target)}
        inside = {name for fold in self.folds for name in fold.boxes}
        if not ends | inside <= set(range(len(self.boxes))) or not all(f.boxes for f in self.folds):
            raise ValueError("an edge or a fold of a picture has no box")
        if sum(edge.recurrent for edge in self.edges) > 1 or any(
            edge.source >= edge.target for edge in self.edges if not edge.recurrent
        ):
            raise ValueError("the edges of a picture lead back")
