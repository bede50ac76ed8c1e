"""The spectral radius of a learned linear carry is that of its matrix."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.bench import probe_target
from scaleaudit.capture.targets import Target
from scaleaudit.domain.probing import ProbeRequest


class Carried(nn.Module):
    """A state that a matrix carries, beside what is added from outside."""

    def __init__(self, matrix=None) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 4), nn.Linear(4, 11)
        self.carry, self.residual = nn.Linear(4, 4), matrix is None
        with torch.no_grad():
            self.carry.weight.copy_(torch.eye(4) if matrix is None else matrix)

    def forward(self, tokens, targets):
        h = x = self.embed(tokens)
        for _ in range(3):
            h = h + torch.tanh(self.carry(h)) if self.residual else self.carry(h) + x
        return F.cross_entropy(self.head(h).flatten(0, 1), targets.flatten())


def _turned(angle, factor):
    c, s = math.cos(angle) * factor, math.sin(angle) * factor
    return torch.block_diag(torch.tensor([[c, -s], [s, c]]), torch.tensor([[0.3, 1.0], [0.0, 0.2]]))


def _drawn():
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(3))


def _measured(model):
    tokens = torch.randint(11, (2, 5))

    def rebuild(*, fake):
        args = (tokens, tokens)
        return Target(Path(__file__), "C", model, args, {}, None, args, None, None, rebuild)

    request = ProbeRequest(device="cpu", train=False)
    return probe_target(rebuild(fake=False), request).diagnostics


@pytest.mark.parametrize("matrix", [_turned(0.7, 1.1), _turned(2.1, 0.6), _drawn()])
def test_a_matrix_stretches_long_states_by_its_largest_eigenvalue(matrix):
    (state,) = _measured(Carried(matrix)).states
    expected = float(torch.linalg.eigvals(matrix.double()).abs().max())
    assert state.radius == pytest.approx(expected, rel=0.01)


def test_states_that_no_linear_map_carries_have_none():
    (state,) = _measured(Carried()).states
    assert state.radius is None
