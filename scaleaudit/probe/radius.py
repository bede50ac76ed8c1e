"""What a turn does to very long states: of a linear carry the spectral radius of its map.

Where states are long, whatever is added to them is lost, and of a turn that is linear in them the map
alone is left. Turned again and again it stretches any start by its spectral radius in the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scaleaudit.probe.depth import Deeper
from scaleaudit.probe.program import Program

# How long states are made: float64 still has eight digits for what is added to them.
_LONG = 1e8
# Turns until a start has come to what stretches it most, and turns that are averaged after that.
_SETTLING, _COUNTED = 64, 64
# The two halves of what is counted may differ by so much, relatively.
_ALIKE = 0.02


def spectral_radius(program: Program, loop: int, feed: Mapping[str, Tensor]) -> float | None:
    """Return by what a turn of a loop multiplies long states in the end; None where it varies.

    Notes:
        The geometric mean over many turns: a pair of complex eigenvalues stretches by turns more
        and less, and by their absolute value on average.
    """
    deeper = Deeper(program, loop)
    if not deeper.possible:
        return None
    states, turned = deeper.turn(feed)
    if not all(state.is_floating_point() for state in states):
        return None
    states = tuple(torch.randn_like(state) for state in states)
    logs = []
    for _ in range(_SETTLING + _COUNTED):
        length = math.sqrt(sum(float(state.square().sum()) for state in states))
        after = turned(tuple(state * (_LONG / length) for state in states))
        grown = math.sqrt(sum(float(state.square().sum()) for state in after)) / _LONG
        if not 0 < grown < math.inf:
            return None
        logs.append(math.log(grown))
        states = after
    counted = logs[_SETTLING:]
    first, second = counted[: _COUNTED // 2], counted[_COUNTED // 2 :]
    settled = abs(sum(first) - sum(second)) / (_COUNTED // 2) < _ALIKE
    return math.exp(sum(counted) / _COUNTED) if settled else None
