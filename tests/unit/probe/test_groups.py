"""Several processes: how batches are divided, and what is said where the others are gone."""

from __future__ import annotations

import pytest
import torch
from torch import distributed

from scaleaudit.errors import ProbeError
from scaleaudit.probe.group import Group, gathered


def test_batches_are_divided_without_a_remainder():
    batch = {"tokens": torch.arange(12).view(4, 3), "scale": torch.tensor(2.0)}
    halves = [Group(rank, 2).share(batch) for rank in (0, 1)]
    assert torch.equal(torch.cat([half["tokens"] for half in halves]), batch["tokens"])
    assert all(half["scale"] == 2 for half in halves)
    with pytest.raises(ProbeError, match="batches of 4 examples cannot be divided among 3"):
        Group(0, 3).share(batch)
    with pytest.raises(ProbeError, match="batches of 2, 4 examples"):
        Group(0, 2).share({**batch, "other": torch.zeros(2)})


def test_one_process_asks_nobody():
    batch, token = {"tokens": torch.ones(3, 2)}, torch.ones(4)
    alone = Group()
    alone.average([token])
    assert alone.share(batch) is batch
    assert alone.joined(token) is token
    assert (alone.mean(2.0), alone.agreed(3.0), alone.seed(5)) == (2.0, 3.0, 5)


@pytest.mark.parametrize("name", ["RANK", "TORCHELASTIC_RUN_ID"])
def test_what_others_left_in_the_environment_starts_no_group(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    with gathered("run", torch.device("cpu")) as group:
        assert (group.rank, group.size) == (0, 1)


def test_a_process_that_loses_the_others_says_so(monkeypatch):
    def gone(*_):
        raise RuntimeError("Connection closed by peer")

    for call in ("all_reduce", "all_gather", "broadcast"):
        monkeypatch.setattr(distributed, call, gone)
    group = Group(0, 2)
    for ask in (
        lambda: group.mean(1.0),
        lambda: group.agreed(1.0),
        lambda: group.joined(torch.ones(2)),
        lambda: group.average([torch.ones(2)]),
        lambda: group.same({"weight": torch.ones(2)}),
    ):
        with pytest.raises(ProbeError, match=r"not heard any more.*Connection closed"):
            ask()
