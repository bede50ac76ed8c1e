"""States that cross at different rates are followed turn by turn of the slowest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.bench import bench_of
from scaleaudit.capture.targets import Target
from scaleaudit.domain.loops import CarriedState, Loop
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.probe.depth import Deeper, cycles
from scaleaudit.probe.trajectory import follow

TURNS = 3


class TwoRates(nn.Module):
    """A fast state that turns twice for every turn of a slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.fast, self.slow = nn.Embedding(11, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 11)

    def turn(self, h, z):
        for _ in range(2):
            z = z + torch.tanh(self.fast(h + z))
        return h + torch.tanh(self.slow(z)), z

    def forward(self, tokens, targets):
        h = self.embed(tokens)
        z = torch.zeros_like(h)
        for _ in range(TURNS):
            h, z = self.turn(h, z)
        return F.cross_entropy(self.head(F.rms_norm(h, (4,))).flatten(0, 1), targets.flatten())


def test_both_states_are_followed_to_four_times_the_slow_turns():
    torch.manual_seed(0)
    model = TwoRates()
    tokens = torch.randint(11, (8, 5))
    args = (tokens, tokens)

    def rebuild(*, fake):
        return Target(Path(__file__), "T", model, args, {}, None, args, None, None, rebuild)

    bench = bench_of(rebuild(fake=False), ProbeRequest(device="cpu"))
    feed = {**bench.weights(0), **next(bench.stream.batches(0))}
    (loop,) = bench.wide.nest.loops
    assert Deeper(bench.wide, 0).turns == TURNS
    steps = dict(zip((s.name for s in loop.states), follow(bench.wide, 0, feed), strict=True))
    h = model.embed(feed[bench.wide.inputs[0]]).detach()
    z = torch.zeros_like(h)
    for turn in range(1, 4 * TURNS + 1):
        with torch.no_grad():
            h, z = model.turn(h, z)
        for name, value in (("h", h), ("z", z)):
            assert steps[name][turn - 1].turn == turn
            expected = float(value.norm(dim=-1).mean())
            assert steps[name][turn - 1].norm == pytest.approx(expected, rel=1e-4)


def _loop(*counts):
    states = tuple(CarriedState("s", tuple(range(count)), None, None) for count in counts)
    return Loop("loop", max(counts), None, states, frozenset(), frozenset())


def test_states_with_no_cycle_in_common_have_none():
    assert cycles(_loop(4, 4)) == (4, (1, 1))
    assert cycles(_loop(6, 3)) == (3, (2, 1))
    assert cycles(_loop(4, 3)) == (3, (0, 0))
