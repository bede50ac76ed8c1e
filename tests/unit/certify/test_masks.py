"""Masks made of data: example inputs that hold no padding must not contradict what holds with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import Target
from scaleaudit.certify.certifying import certify
from scaleaudit.certify.leaves import free_state
from scaleaudit.certify.thresholds import SLIGHT
from scaleaudit.domain.facts import Outcome
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse_and_claim


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.up, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 7)

    def forward(self, tokens, targets):
        h, real = self.embed(tokens), (tokens != 0).unsqueeze(-1)
        for _ in range(4):
            h = torch.where(real, torch.tanh(self.up(h)), h)
        return F.cross_entropy(self.head(h).flatten(0, 1), targets.flatten())


@pytest.mark.parametrize("least", [0, 1])
def test_padding_is_drawn_where_the_example_has_none(least):
    torch.set_num_threads(1)
    model = Masked()
    args = (torch.randint(least, 11, (3, 6)), torch.randint(7, (3, 6)))

    def rebuild(*, fake: bool) -> Target:
        return Target(Path(__file__), "Masked", model, args, {}, None, args, None, None, rebuild)

    program = capture(rebuild(fake=False))
    _, claims = analyse_and_claim(program.graph, find_loops(program.graph))
    found = certify(program, claims, seconds=60)
    assert found is not None
    assert found.outcome is Outcome.CERTIFIED, found.disagreements


def test_no_element_of_a_free_state_is_lost_beside_what_is_written():
    generator = torch.Generator().manual_seed(0)
    crossing = torch.randn(4, 6, 8, dtype=torch.float64, generator=generator)
    crossing[0, 0, 0], crossing[1, 2, 3] = 0.0, 1e-62
    free = free_state(crossing, generator)
    assert free.abs().min() >= SLIGHT
    kept = crossing.abs() > 0.1
    assert torch.equal(free[kept] > 0, crossing[kept] > 0)
