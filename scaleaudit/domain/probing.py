"""What a probe is asked to do, and the traces of its training runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Batches(Enum):
    """What a probe trains on.

    OWN: the target's own batches where it has any, else made-up ones. MADE: made-up ones.
    """

    OWN = "own"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """How to probe a target. What is None is chosen by the target.

    Attributes:
        device: "auto", or a device as torch names it.
        steps: Steps of training a run.
        seeds: The most seeds; fewer are run where fewer make it clear.
        lr: Learning rate; by the width of the state where None.
        dtype: "float32", or a type that matrix products are computed in.
        budget: Seconds for a target.
        train: Whether it is trained at all.
        batches: What on.
        checkpoint: The file that its weights are from; None for those that its code makes.
        brief: Whether to leave out what the verdict does not need: other fixes, and what is measured
            without training.
    """

    device: str = "auto"
    steps: int = 100
    seeds: int = 3
    lr: float | None = None
    dtype: str | None = None
    budget: float = 120.0
    train: bool = True
    batches: Batches = Batches.OWN
    checkpoint: str | None = None
    brief: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Lengths of a state's tokens after one turn."""

    mean: float
    p95: float
    largest: float


@dataclass(frozen=True, slots=True)
class Depth:
    """What a trained loop gives at some number of turns.

    Attributes:
        norm: Mean length of a state's tokens.
        loss: The objective where every readout of the loop is given the state of that turn.
    """

    turns: int
    norm: float
    loss: float


@dataclass(frozen=True, slots=True)
class Carry:
    """What trained weights make of a state's length. None stands for what cannot be measured.

    Attributes:
        kept: What a turn multiplies the length of very long states by: 1 where it is kept whole.
        reach: What the length is multiplied by as all trained weights go from 1e2 to 1e4 times: 1
            where what turns write is bounded, however large weights become.
        untouched: The share of tokens that a turn leaves just as they are.
        attainable: What turns of very long states keep once weights are moved to keep all they can;
            asked where some of the length is kept, and not all.
    """

    kept: float | None = None
    reach: float | None = None
    untouched: float | None = None
    attainable: float | None = None


NOT_MEASURED = Carry()


@dataclass(frozen=True, slots=True)
class StateTrace:
    """What became of one state in one run.

    Attributes:
        turns: For every measured step the lengths after every turn.
        depths: After training, turn by turn and beyond those that were trained.
        carry: What the trained weights make of its length; measured of the target as it is alone.
    """

    state: str
    loop: str
    turns: tuple[tuple[Turn, ...], ...]
    depths: tuple[Depth, ...] = ()
    carry: Carry = NOT_MEASURED

    @property
    def ended(self) -> float | None:
        """Mean length after the last turn, when training ended."""
        return self.turns[-1][-1].mean if self.turns and self.turns[-1] else None


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run.

    Attributes:
        fix: What was put on the target; empty for the target as it is.
        measured: The steps at which lengths were measured.
        losses: The target's own loss at every step, without what a fix adds.
        overflowed: The step at which a loss or a gradient was no number.
    """

    seed: int
    fix: str
    measured: tuple[int, ...]
    losses: tuple[float, ...]
    states: tuple[StateTrace, ...]
    seconds: float
    overflowed: int | None = None
