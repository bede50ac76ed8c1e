"""What the meter reads off tensors is what they hold, and it changes none."""

from __future__ import annotations

import math

import pytest
import torch

from scaleaudit.monitoring.meter import Meter
from scaleaudit.probe.program import Crossing

FIRST, SECOND = Crossing(0, 0, 1), Crossing(0, 0, 2)


def test_lengths_room_and_unit_are_those_of_the_tensor():
    meter, value = Meter(), torch.tensor([[3.0, 4.0], [0.0, -1.0]], dtype=torch.float16)
    assert meter(FIRST, value) is value
    (look,) = meter.read().values()
    assert (look.turn.mean, look.turn.largest) == (3.0, 5.0)
    assert look.room == pytest.approx(65504 / 4)
    assert (look.dtype, look.unit, look.unchanged) == ("float16", pytest.approx(math.sqrt(2)), None)
    assert meter.read() == {}


def test_writes_that_a_narrow_type_swallows_leave_elements_unchanged():
    def unchanged(length, dtype):
        meter, before = Meter(), torch.full((4, 8), length, dtype=dtype)
        after = before.clone()
        after[:, :6] += 1  # a quarter is not written to at all
        meter(FIRST, before)
        meter(SECOND, after)
        return meter.read()[SECOND].unchanged

    assert unchanged(1.0, torch.bfloat16) == 0.25
    assert unchanged(1000.0, torch.bfloat16) == 1.0
    assert unchanged(1000.0, torch.float32) is None


def test_turns_of_one_run_are_not_held_against_those_of_the_last():
    meter, value = Meter(), torch.ones(2, 3, dtype=torch.bfloat16)
    for _ in range(2):
        meter(FIRST, value)
        assert meter.read()[FIRST].unchanged is None


def test_what_is_no_real_number_has_no_length():
    meter = Meter()
    for value in (torch.ones(3, dtype=torch.int64), torch.ones(2, 0)):
        assert meter(FIRST, value) is value
    assert meter.read() == {}


def test_infinity_is_read_as_it_is():
    meter = Meter()
    meter(FIRST, torch.tensor([[1.0, math.inf]]))
    (look,) = meter.read().values()
    assert look.turn.largest == math.inf
    assert look.room == 0.0
