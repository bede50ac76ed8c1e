"""What is measured without training, held against forward passes that are written by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.capture.capturing import capture
from scaleaudit.capture.targets import Target
from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.loops.finder import find_loops
from scaleaudit.probe.diagnostics import diagnose
from scaleaudit.probe.geometry import swallowed, unlengthened
from scaleaudit.probe.program import Program
from scaleaudit.probe.trajectory import fitted, step_between

TURNS = 3


class Looped(nn.Module):
    """A residual loop that is read after every turn, raw or through a norm."""

    def __init__(self, *, raw: bool) -> None:
        super().__init__()
        self.raw = raw
        self.embed, self.mix, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11)

    def turn(self, h):
        return h + torch.tanh(self.mix(F.rms_norm(h, (8,))))

    def read(self, h, targets):
        h = h if self.raw else F.rms_norm(h, (8,))
        return F.cross_entropy(self.head(h).flatten(0, 1), targets.flatten())

    def forward(self, tokens, targets):
        h, losses = self.embed(tokens), []
        for _ in range(TURNS):
            h = self.turn(h)
            losses.append(self.read(h, targets))
        return torch.stack(losses).mean()


class Measured:
    """A model, what was measured of it, and the states that its own methods make."""

    def __init__(self, *, raw: bool) -> None:
        torch.manual_seed(0)
        self.model = Looped(raw=raw).double()
        self.tokens, self.targets = torch.randint(11, (2, 5)), torch.randint(11, (2, 5))
        args = (self.tokens, self.targets)

        def rebuild(*, fake: bool) -> Target:
            return Target(
                Path(__file__), "L", self.model, args, {}, None, args, None, None, rebuild
            )

        captured = capture(rebuild(fake=False), whole=True)
        nest = find_loops(captured.graph)
        program = Program(captured, nest, torch.device("cpu"), wide=True)
        feed = {
            **dict(self.model.named_parameters()),
            **dict(zip(program.inputs, args, strict=True)),
        }
        self.found = diagnose(program, feed)
        (self.state,) = self.found.states
        with torch.no_grad():
            self.h = [self.model.embed(self.tokens)]
            for _ in range(4 * TURNS):
                self.h.append(self.model.turn(self.h[-1]))

    def loss(self, *factors):
        """The objective where each turn's state is scaled for its readout, and for that alone."""
        read = (
            self.model.read(h * a, self.targets) for h, a in zip(self.h[1:], factors, strict=False)
        )
        return float(torch.stack(list(read)).mean().detach())


@pytest.fixture(scope="module", params=[True, False], ids=["raw", "normed"])
def measured(request):
    torch.set_num_threads(1)
    return Measured(raw=request.param)


def test_scaling_all_states_gives_the_loss_of_scaled_readouts(measured):
    assert measured.found.loss == pytest.approx(measured.loss(1, 1, 1))
    assert measured.state.losses == pytest.approx([measured.loss(a, a, a) for a in SWEEP])
    assert (measured.state.change < 1e-9) is not measured.model.raw


def test_scaling_one_state_leaves_the_other_readouts(measured):
    assert [readout.turn for readout in measured.state.readouts] == [1, 2, 3]
    expected = [measured.loss(1, a, 1) for a in SWEEP]
    assert measured.state.readouts[1].losses == pytest.approx(expected)


def test_radial_gradients_are_those_of_each_readout_alone(measured):
    for h, readout in zip(measured.h[1:], measured.state.readouts, strict=False):
        leaf = h.clone().requires_grad_()
        measured.model.read(leaf, measured.targets).backward()
        inner, size = (leaf.grad * h).sum().abs(), leaf.grad.norm() * h.norm()
        assert readout.radial == pytest.approx(float(inner / size), rel=1e-6, abs=1e-12)
        assert (readout.radial > 1e-4) is measured.model.raw


def test_steps_are_followed_to_four_times_the_turns(measured):
    assert [step.turn for step in measured.state.steps] == list(range(1, 4 * TURNS + 1))
    for before, after, step in zip(measured.h, measured.h[1:], measured.state.steps, strict=False):
        long, update = before.norm(dim=-1), after - before
        cosine = (before * after).sum(-1) / (long * after.norm(dim=-1))
        assert step.norm == pytest.approx(float(after.norm(dim=-1).mean()))
        assert step.radial == pytest.approx(float(((update * before).sum(-1) / long).mean()))
        assert step.angular == pytest.approx(float(cosine.acos().mean()))
        assert step.largest == pytest.approx(float(after.abs().max()))


def test_the_laws_of_growth_are_those_of_the_lengths(measured):
    steps = measured.state.steps
    assert measured.state.growth == fitted((s.turn, s.norm) for s in steps[TURNS - 1 :])
    assert measured.state.growth.exponent == pytest.approx(1, abs=0.3)
    assert measured.state.turning.exponent < -0.7
    assert measured.state.headroom == pytest.approx(65504 / float(measured.h[-1].abs().max()))


def test_a_clamp_takes_the_radial_part_of_every_turn_away(measured):
    h, losses = measured.h[0], []
    for _ in range(TURNS):
        update = measured.model.turn(h) - h
        direction = h / h.norm(dim=-1, keepdim=True)
        h = h + update - (update * direction).sum(-1, keepdim=True) * direction
        losses.append(measured.model.read(h, measured.targets))
    assert measured.state.clamped == pytest.approx(float(torch.stack(losses).mean().detach()))


def test_what_bf16_swallows_is_what_its_sums_do_not_show():
    torch.manual_seed(0)
    state = torch.randn(4096).bfloat16().double()
    update = torch.randn(4096).double() * 2.0 ** torch.randint(-12, 0, (4096,))
    kept = (state + update).bfloat16().double() != state
    # On the side of a power of two where units are half as large, half of one may still count.
    assert abs(swallowed(state, state + update) - float((~kept).double().mean())) < 0.01
    assert swallowed(state, state) == 0
    ones = torch.ones(4).double()
    updates = torch.tensor([2.0**-8 * 0.99, 2.0**-8, 0.0, -1.0]).double()
    assert swallowed(ones, ones + updates) == pytest.approx(1 / 3)


def test_a_power_law_is_found_again():
    law = fitted((k, 3 * k**-1.5) for k in range(1, 9))
    assert (law.exponent, law.error) == (pytest.approx(-1.5), pytest.approx(0, abs=1e-12))
    noisy = fitted((k, 2 * k * math.exp(0.1 * (-1) ** k)) for k in range(1, 9))
    assert noisy.error == pytest.approx(0.1, abs=0.01)
    assert fitted((2, k) for k in range(1, 9)) is None
    assert fitted([(1, 1), (2, 2), (3, math.inf)]) is None


def test_states_without_a_direction_are_left_out_of_angles():
    before = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    step = step_between(before, torch.tensor([[1.0, 1.0], [0.0, 2.0]]), 1)
    assert (step.angular, step.radial) == (pytest.approx(math.pi / 2), pytest.approx(-1.0))
    still = torch.zeros(2, 2)
    assert step_between(still, still, 1).angular is None
    assert torch.equal(unlengthened(still, before), before)
    assert step_between(torch.ones(2, 2), torch.ones(3, 2), 1).radial is None
