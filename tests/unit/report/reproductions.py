"""Runs of reference models made by hand, for the tests of their table."""

from __future__ import annotations

import math

from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.domain.evaluation import DepthEvaluation, EarlyExit, Evaluation, Lengths
from scaleaudit.domain.reproduction import OverflowedRun, ReferenceRun

TURNS = 4
BLIND = ("terminal_rmsnorm", "per_loop_rmsnorm")


def depth(turns: int, length: float, perplexity: float) -> DepthEvaluation:
    lengths = Lengths(length, length / 2, length, length * 2, length * 2.5, length * 3)
    return DepthEvaluation(turns, lengths, math.log(perplexity))


def run(
    condition: str, seed: int, length: float, perplexities: tuple[float, ...] = (20, 16, 15, 14)
) -> ReferenceRun:
    """A run whose state ends at some length after four turns, and grows with depth."""
    trained = [depth(k, length * k / TURNS, p) for k, p in enumerate(perplexities, 1)]
    beyond = [depth(k, length * k / TURNS, perplexities[-1] + k) for k in (8, 16)]
    return ReferenceRun(
        condition=condition,
        per_loop=not condition.startswith("terminal"),
        blind=condition in BLIND,
        size="tiny",
        seed=seed,
        step=300,
        seen=153_600,
        recipe=(("text", "the standard library"),),
        evaluation=Evaluation(
            turns=TURNS,
            tokens=4096,
            depths=(*trained, *beyond),
            scaled=tuple(2.5 + (0 if condition in BLIND else a / 1e3) for a in SWEEP),
            clamped=depth(TURNS, 8.0, 30.0),
            early_exit=EarlyExit(1.02, 0.75, 2.5, 14.2, 14.0),
        ),
    )


def overflowed(condition: str, seed: int, length: float | None = 4e4) -> OverflowedRun:
    """A run that came to no number at its 130th step."""
    return OverflowedRun(condition, condition in BLIND, "tiny", seed, 130, length, 120)
