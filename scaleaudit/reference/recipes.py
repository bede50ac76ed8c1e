"""How each size is trained: one table, which the command line's flags override."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.training import Encoding, TrainingPlan
from scaleaudit.reference.config import TURNS


@dataclass(frozen=True, slots=True)
class Recipe:
    """AdamW at a constant learning rate, gradients clipped, as in the paper where it says.

    Attributes:
        lr: The paper's 3e-4 at its two sizes. At size ``tiny`` 300 steps at 3e-4 leave the blind and
            the controlled condition that are closest 3.5 times apart, 300 steps at 1e-2 38 times:
            AdamW's steps don't shrink with a model's width, so what the blocks write grows with
            steps times learning rate.
        batch: Sequences a step.
        stride: Tokens from the start of one sequence to the next: half a sequence, so that every
            token is predicted from at least so much text in one of the two that it is in.
        every: Steps between two lines of metrics.
        steps: Where a training ends, or None where it is after ``epochs``.
        epochs: How often every sequence is seen.
    """

    lr: float
    batch: int
    stride: int
    every: int
    encoding: Encoding
    steps: int | None = None
    epochs: int = 4
    weight_decay: float = 0.01
    clip: float = 1.0


RECIPES: dict[str, Recipe] = {
    "tiny": Recipe(lr=1e-2, batch=8, stride=32, every=10, encoding=Encoding.BYTES, steps=300),
    "44m": Recipe(lr=3e-4, batch=64, stride=128, every=50, encoding=Encoding.BPE),
    "129m": Recipe(lr=3e-4, batch=32, stride=128, every=50, encoding=Encoding.BPE),
}


def plan_by_recipe(condition: str, size: str, seed: int = 0) -> TrainingPlan:
    """Return how a size is trained where nobody asks for anything else."""
    recipe = RECIPES[size]
    return TrainingPlan(
        condition=condition,
        size=size,
        seed=seed,
        turns=TURNS,
        lr=recipe.lr,
        batch=recipe.batch,
        accumulate=1,
        stride=recipe.stride,
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        every=recipe.every,
        encoding=recipe.encoding,
    )
