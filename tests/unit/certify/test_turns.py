"""What is claimed of a turn, against the lengths and the largest elements that it hands on."""

from __future__ import annotations

from dataclasses import replace

import torch

from scaleaudit.certify.answers import judge_turn
from scaleaudit.domain.claims import TurnClaim
from scaleaudit.domain.facts import Transition
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import ZERO, Interval

MEAN = TurnClaim(
    state="h",
    entered=Ref(0),
    made=Ref(1),
    transition=Transition.CARRIED,
    gain=Interval(1.0, 1.0),
    branch=ZERO,
    floored=False,
    largest=True,
    others=False,
)


def complaint(claim: TurnClaim, entered: list[float], made: list[float]) -> str:
    values = [[torch.tensor(x) * factor for factor in (1.0, 1e3)] for x in (entered, made)]
    return judge_turn(claim, *values)


def test_a_mean_is_held_against_the_largest_element_alone() -> None:
    """Two streams that both follow the longer one: longer together, and no element is larger."""
    assert complaint(MEAN, [4.0, 1.0], [4.0, 4.0]) == ""
    assert complaint(replace(MEAN, largest=False), [4.0, 1.0], [4.0, 4.0]) != ""


def test_a_larger_element_contradicts_a_mean() -> None:
    assert complaint(MEAN, [4.0, 4.0], [5.0, 0.0]) != ""
    assert complaint(replace(MEAN, largest=False), [4.0, 4.0], [5.0, 0.0]) == ""
