"""Which sequences each step is given: all of them, in an order that the step alone determines."""

from __future__ import annotations

import pytest
import torch

from scaleaudit.errors import ProbeError
from scaleaudit.reference.batches import Order, windows_of


def test_sequences_follow_each_other_at_a_stride():
    windows = windows_of(torch.arange(20, dtype=torch.int16), context=5, stride=4)
    assert len(windows) == 4  # 6 tokens from 0, 4, 8 and 12; from 16 on there are too few
    assert windows.take(torch.tensor([3, 0])).tolist() == [
        [12, 13, 14, 15, 16, 17],
        [0, 1, 2, 3, 4, 5],
    ]
    assert windows.take(torch.tensor([1])).dtype is torch.int64


def test_sequences_can_be_spread_over_the_text():
    windows = windows_of(torch.arange(100, dtype=torch.uint8), context=9, stride=9)
    assert windows.spread(3)[:, 0].tolist() == [0, 27, 63]
    assert len(windows.spread(99)) == len(windows) == 11


def test_a_text_that_is_too_short_is_told():
    assert len(windows_of(torch.arange(6), context=5, stride=2)) == 1
    with pytest.raises(ProbeError, match="5 tokens, too few for a sequence of 6"):
        windows_of(torch.arange(5), context=5, stride=2)


def test_every_epoch_sees_every_sequence_once_in_another_order():
    order = Order(count=10, batch=4, seed=1)
    seen = torch.cat([order.numbers(step) for step in range(5)]).tolist()
    assert sorted(seen[:10]) == sorted(seen[10:]) == [*range(10)]
    assert seen[:10] != seen[10:]


def test_a_step_is_known_without_those_before_it():
    order = Order(count=10, batch=4, seed=1)
    through = [order.numbers(step).tolist() for step in range(12)]
    assert Order(count=10, batch=4, seed=1).numbers(11).tolist() == through[11]
    assert Order(count=10, batch=4, seed=2).numbers(11).tolist() != through[11]


def test_a_batch_may_be_larger_than_the_text():
    found = Order(count=3, batch=8, seed=0).numbers(1).tolist()
    assert len(found) == 8
    assert {*found} == {0, 1, 2}
