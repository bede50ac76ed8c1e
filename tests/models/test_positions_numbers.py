"""Parts of a state that a penalty or a readout leaves out, scaled by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from measuring import respond
from parts import LENGTH, D
from positions import CHANNELS
from test_models_numbers import FACTORS, answer
from torch import Tensor
from zoo import Case, cases

CASES = {case.name: case for case in cases() if case.theme == "positions"}
FIRST, LAST = (torch.arange(LENGTH) == place for place in (0, LENGTH - 1))
POSITIONS, FEATURES = (1, LENGTH, 1), (1, 1, D)
FEW = (torch.arange(D) < CHANNELS).view(FEATURES)
SEEN = {
    "penalty_of_all_but_the_first": ~FIRST.view(POSITIONS),
    "penalty_of_the_last": LAST.view(POSITIONS),
    "penalty_of_channels": FEW,
    "class_token_beside_pool": FIRST.view(POSITIONS),
    "shifted_beside_normed": ~LAST.view(POSITIONS),
    "last_logits_beside_normed": LAST.view(POSITIONS),
    "last_target_raw_beside_normed": LAST.view(POSITIONS),
    "last_weighs_beside_normed": LAST.view(POSITIONS),
    "joined_first_raw": FIRST.view(POSITIONS),
    "joined_first_normed": ~FIRST.view(POSITIONS),
    "joined_channels": FEW,
    "assigned_first_raw": FIRST.view(POSITIONS),
    "assigned_rest_normed": FIRST.view(POSITIONS),
    "assigned_first_normed": ~FIRST.view(POSITIONS),
    "chosen_first_raw": FIRST.view(POSITIONS),
}
"""For every case the part of its state that the loss sees."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def measured(name: str, part: Tensor) -> str:
    case: Case = CASES[name]
    case = replace(case, expect=replace(case.expect, carries=("h",)))
    return answer(respond(case, FACTORS, part))


@pytest.mark.parametrize("name", SEEN)
def test_the_loss_sees_one_part_of_the_state_and_not_the_other(name: str) -> None:
    assert measured(name, SEEN[name]) == "visible"
    assert measured(name, ~SEEN[name]) in ("invariant", "fading")


def test_where_the_raw_token_has_no_target_nothing_is_seen() -> None:
    everything = torch.ones(1, 1, 1, dtype=torch.bool)
    assert measured("ignored_where_raw", everything) in ("invariant", "fading")
