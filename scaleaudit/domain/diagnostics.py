"""What can be said of carried states by running a model, without training it."""

from __future__ import annotations

import math
from dataclasses import dataclass

# What the length of a state is multiplied by.
SWEEP = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 1e2, 1e4)
LARGEST_FP16 = 65_504.0


@dataclass(frozen=True, slots=True)
class ReadoutResponse:
    """What the loss sees of a state after one turn, its way through further turns aside.

    Attributes:
        turn: The turn, from 1.
        losses: The objective with this value scaled by each factor of ``SWEEP``.
        radial: The share of the gradient that points along the state, |<g, h>| / (|g| |h|); None
            where no gradient reaches it.
    """

    turn: int
    losses: tuple[float, ...]
    radial: float | None


@dataclass(frozen=True, slots=True)
class TurnStep:
    """How a state moved in one turn, as means over its tokens.

    Attributes:
        turn: The turn, from 1; those beyond the program's repeat its last one.
        norm: Length after it.
        radial: How much longer the step made it along its own direction; None where the state
            before it is not known.
        angular: The angle that the step turned it by, in radians.
        swallowed: The share of what it adds, element by element, that is below half a unit in the
            last place of the state in bf16, and so lost there.
        largest: The largest absolute element after it.
    """

    turn: int
    norm: float
    radial: float | None
    angular: float | None
    swallowed: float | None
    largest: float


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = c x^exponent, fitted by least squares to logarithms.

    Attributes:
        error: Root mean square of what is left over, in units of the natural logarithm: 0.01 is
            one percent.
    """

    exponent: float
    error: float


@dataclass(frozen=True, slots=True)
class StateDiagnostics:
    """What was measured of one state.

    Attributes:
        turns: How many turns the program makes; of states that cross at different rates those of
            the slowest.
        losses: The objective with all values of the state scaled by each factor of ``SWEEP``.
        readouts: The turns after which the loss reads the state.
        steps: Every turn, out to four times those of the program.
        growth: Length over turns, from the program's last turn on.
        turning: Angle of a step over the length before it, over the same turns; exponent -1 is
            what steps of a size of their own give. None where the length hardly varies.
        radius: What a turn multiplies the length of very long states by: of a linear carry the
            spectral radius. None where it was not asked for, or does not settle.
        clamped: The objective where no turn may lengthen the state along its own direction.
        reason: Why the state was not measured, or not further.
    """

    state: str
    loop: str
    turns: int
    losses: tuple[float, ...] = ()
    readouts: tuple[ReadoutResponse, ...] = ()
    steps: tuple[TurnStep, ...] = ()
    growth: PowerLaw | None = None
    turning: PowerLaw | None = None
    radius: float | None = None
    clamped: float | None = None
    reason: str = ""

    @property
    def headroom(self) -> float | None:
        """How many times the state would have to grow to overflow in fp16, at its deepest turn."""
        if not self.steps or not self.steps[-1].largest:
            return None
        return LARGEST_FP16 / self.steps[-1].largest

    @property
    def change(self) -> float | None:
        """Relative change of the objective as the state is scaled from 1e2 to 1e4."""
        if not self.losses:
            return None
        before, after = self.losses[-2:]
        if not (math.isfinite(before) and math.isfinite(after)):
            return math.inf
        return abs(after - before) / max(abs(before), abs(after), 1e-30)


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What was measured of a model with its weights as they are.

    Attributes:
        weights: Where the weights come from: a checkpoint; empty for the model's own initialisation.
        loss: The objective.
    """

    weights: str
    loss: float
    states: tuple[StateDiagnostics, ...]
