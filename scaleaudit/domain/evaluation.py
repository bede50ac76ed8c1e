"""What a trained reference model gives on text that it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lengths:
    """How the lengths of a state's tokens are spread: L2 over features."""

    mean: float
    p5: float
    median: float
    p95: float
    p99: float
    largest: float


@dataclass(frozen=True, slots=True)
class DepthEvaluation:
    """What the loop gives after some number of turns.

    Attributes:
        loss: Mean cross-entropy of the next token, in nats, of what is read after that turn.
    """

    turns: int
    lengths: Lengths
    loss: float

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return exponential(self.loss)


@dataclass(frozen=True, slots=True)
class EarlyExit:
    """What is saved where a token leaves the loop as soon as its readout is sure enough.

    Attributes:
        target: How many times the perplexity after all turns is allowed.
        threshold: The largest probability of a readout at which a token leaves, chosen on one half
            of the text; None where no token may leave early.
        mean_turns: Turns that tokens of the other half take with it.
        perplexity: Of the other half, each token read where it leaves.
        full: Of the other half, after all turns.
    """

    target: float
    threshold: float | None
    mean_turns: float
    perplexity: float
    full: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One trained model.

    Attributes:
        turns: How many it was trained with.
        tokens: How many were read.
        depths: Every turn that was trained, and beyond.
        scaled: The objective with all its states scaled by each factor of ``diagnostics.SWEEP``.
        clamped: The last trained turn where no turn changes the state along its own direction.
        early_exit: With the readouts of the trained turns.
    """

    turns: int
    tokens: int
    depths: tuple[DepthEvaluation, ...]
    scaled: tuple[float, ...]
    clamped: DepthEvaluation
    early_exit: EarlyExit

    @property
    def trained(self) -> DepthEvaluation:
        """What comes out after as many turns as were trained."""
        return self.at(self.turns)

    def at(self, turns: int) -> DepthEvaluation:
        """Return what comes out after so many turns, which were measured."""
        return next(depth for depth in self.depths if depth.turns == turns)


def exponential(loss: float) -> float:
    """Return the perplexity of a loss, infinite where it is no number of this machine."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
