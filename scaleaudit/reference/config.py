"""Sizes and conditions of the reference models: every choice that tells two of them apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Supervision(Enum):
    """Which turns' logits the loss asks about."""

    TERMINAL = "terminal"
    PER_LOOP = "per-loop"


class Readout(Enum):
    """What stands between the state and the tied head."""

    RMSNORM = "rmsnorm"
    RAW = "raw"
    FINAL_NORM = "final-norm"
    """Raw at every turn but the last, which is normed."""


@dataclass(frozen=True, slots=True)
class Size:
    """The dimensions of a model.

    Attributes:
        hidden: Width of the SwiGLU layers. Four times ``dim`` brings the two sizes of the paper
            to 43.9 and 128.8 million parameters.
        context: Number of learned positions, and the length of a training sequence.
    """

    vocabulary: int
    dim: int
    heads: int
    layers: int
    hidden: int
    context: int


@dataclass(frozen=True, slots=True)
class Condition:
    """How a model is read, supervised and restrained.

    Attributes:
        penalty: Weight of the mean over turns of mean(h^2) in the loss; 0 leaves it out.
        norm_between: Whether a norm stands at the end of every turn, on the carried state.
    """

    supervision: Supervision
    readout: Readout
    penalty: float = 0.0
    norm_between: bool = False

    @property
    def blind(self) -> bool:
        """Whether nothing sees or holds the length of the state."""
        terminal = self.supervision is Supervision.TERMINAL
        normed = self.readout is Readout.RMSNORM or (
            self.readout is Readout.FINAL_NORM and terminal
        )
        return normed and not self.penalty and not self.norm_between


TURNS = 4
"""How often the paper's models run all their layers."""


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """One reference model: a size, a condition and the number of turns over all layers."""

    size: Size
    condition: Condition
    turns: int = TURNS
    eps: float = 1e-6


TINY = Size(vocabulary=256, dim=64, heads=4, layers=2, hidden=256, context=64)
SIZE_44M = Size(vocabulary=20_000, dim=512, heads=8, layers=8, hidden=2048, context=256)
SIZE_129M = Size(vocabulary=20_000, dim=768, heads=12, layers=12, hidden=3072, context=256)

SIZES: dict[str, Size] = {"tiny": TINY, "44m": SIZE_44M, "129m": SIZE_129M}

PENALTY_WEIGHT = 0.01
"""The weight that the paper uses for its two penalised conditions."""

CONDITIONS: dict[str, Condition] = {
    "terminal_rmsnorm": Condition(Supervision.TERMINAL, Readout.RMSNORM),
    "terminal_raw": Condition(Supervision.TERMINAL, Readout.RAW),
    "per_loop_rmsnorm": Condition(Supervision.PER_LOOP, Readout.RMSNORM),
    "per_loop_raw": Condition(Supervision.PER_LOOP, Readout.RAW),
    "per_loop_final_norm": Condition(Supervision.PER_LOOP, Readout.FINAL_NORM),
    "terminal_penalty": Condition(Supervision.TERMINAL, Readout.RMSNORM, penalty=PENALTY_WEIGHT),
    "per_loop_penalty": Condition(Supervision.PER_LOOP, Readout.RMSNORM, penalty=PENALTY_WEIGHT),
    "norm_between": Condition(Supervision.PER_LOOP, Readout.RMSNORM, norm_between=True),
}
