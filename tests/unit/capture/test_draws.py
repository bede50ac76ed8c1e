"""Numbers drawn at random: audits repeat, and enough turns are seen whatever was drawn."""

from __future__ import annotations

import random
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from capture_support import captured
from torch import nn

D = 8
OWN = random.Random(3)

DRAWS = {
    "random": lambda: random.randint(1, 2),
    "choice": lambda: random.choice([1, 1, 3]),
    "numpy": lambda: int(np.random.randint(1, 3)),  # noqa: NPY002 - as people draw
    "generator": lambda: int(np.random.default_rng().integers(1, 3)),
    "own": lambda: OWN.randint(1, 2),
    "torch": lambda: int(torch.randint(1, 3, ()).item()),
    "poisson": lambda: int(torch.poisson(torch.tensor(0.5)).item()),
}


@pytest.fixture(autouse=True)
def unmarked(monkeypatch):
    """This file counts as a user's, though it was loaded before the mark of what was settled."""
    monkeypatch.delitem(sys.modules, "scaleaudit.capture.settled", raising=False)


class Turning(nn.Module):
    def __init__(self, draw) -> None:
        super().__init__()
        self.w, self.draw = nn.Linear(D, D), draw

    def forward(self, x):
        for _ in range(self.draw()):
            x = x + self.w(x)
        return x.sum()


@pytest.mark.parametrize("kind", DRAWS)
def test_a_drawn_number_of_turns_shows_more_than_one(kind):
    graph = captured(Turning(DRAWS[kind]), torch.randn(3, D)).graph
    assert sum(node.op == "aten.addmm.default" for node in graph.nodes) > 1


@pytest.mark.parametrize("kind", ["random", "numpy"])
def test_two_audits_draw_the_same(kind):
    first, second = (
        captured(Turning(DRAWS[kind]), torch.randn(3, D)).graph.nodes for _ in range(2)
    )
    assert [node.op for node in first] == [node.op for node in second]


def test_what_draws_nothing_is_recorded_once():
    calls = []
    captured(Turning(lambda: calls.append(1) or 2), torch.randn(3, D))
    assert len(calls) == 1


def test_modules_that_were_loaded_before_all_of_the_users_are_not_looked_at(monkeypatch):
    turns = []
    kept = ModuleType("kept")
    kept.generator = random.Random(3)
    kept.__file__ = __file__

    def draw():
        turns.append(kept.generator.randint(1, 2))
        return turns[-1]

    for name in ("kept", "scaleaudit.capture.settled"):
        monkeypatch.setitem(sys.modules, name, kept)
    captured(Turning(draw), torch.randn(3, D))
    assert len(turns) == 1
