"""Evaluation: its numbers against forwards written out by hand, and what must hold of any model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig, Size
from scaleaudit.reference.evaluation import (
    depths,
    evaluate,
    spread_of,
    tangential,
)
from scaleaudit.reference.exits import early_exit
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss, token_loss

SMALL = Size(vocabulary=32, dim=16, heads=2, layers=1, hidden=32, context=8)
TURNS = 3


@pytest.fixture(autouse=True)
def one_thread_and_no_gradients() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def build(condition: str, turns: int = TURNS) -> LoopedDecoder:
    return LoopedDecoder(ReferenceConfig(SMALL, CONDITIONS[condition], turns))


def text(sequences: int = 12) -> Tensor:
    return torch.randint(SMALL.vocabulary, (sequences, SMALL.context + 1))


def deeper(model: LoopedDecoder, turns: int) -> LoopedDecoder:
    """The same weights in a model that makes more turns by itself."""
    config = replace(model.config, turns=turns)
    found = LoopedDecoder(config)
    found.load_state_dict(model.state_dict())
    return found


@pytest.mark.parametrize("condition", CONDITIONS)
def test_norms_and_losses_at_trained_depths_are_those_of_a_forward(condition: str) -> None:
    model, windows = build(condition), text()
    output = model(windows[:, :-1])
    found = evaluate(model, windows)
    assert [depth.turns for depth in found.depths] == [1, 2, 3, 6, 12]
    for depth, h, logits in zip(found.depths, output.states, output.logits, strict=False):
        loss = float(token_loss(logits, windows[:, 1:]))
        assert depth.lengths.mean == pytest.approx(float(h.norm(dim=-1).mean()), rel=1e-5)
        assert depth.loss == pytest.approx(loss, rel=1e-5)
        assert depth.perplexity == pytest.approx(math.exp(loss), rel=1e-4)


@pytest.mark.parametrize("condition", ["per_loop_rmsnorm", "per_loop_final_norm", "norm_between"])
def test_beyond_the_trained_turns_the_same_weights_run_on(condition: str) -> None:
    model, windows = build(condition), text()
    output = deeper(model, 12)(windows[:, :-1])
    last = evaluate(model, windows).depths[-1]
    assert last.turns == 12
    assert last.loss == pytest.approx(
        float(token_loss(output.logits[-1], windows[:, 1:])), rel=1e-5
    )
    assert last.lengths.mean == pytest.approx(
        float(output.states[-1].norm(dim=-1).mean()), rel=1e-5
    )


@pytest.mark.parametrize("condition", CONDITIONS)
def test_unscaled_the_objective_is_the_loss_that_is_trained_on(condition: str) -> None:
    model, windows = build(condition), text()
    unscaled = evaluate(model, windows).scaled[SWEEP.index(1.0)]
    trained = float(looped_loss(model, windows[:, :-1], windows[:, 1:]))
    assert unscaled == pytest.approx(trained, rel=1e-5)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_objective_is_flat_under_scaling_where_readouts_are_normed_and_nothing_else_is_asked(
    condition: str,
) -> None:
    flat = condition in {"terminal_rmsnorm", "per_loop_rmsnorm", "norm_between"}
    scaled = evaluate(build(condition), text()).scaled
    # What is left is the eps of a norm, at the shortest states.
    assert (max(scaled) - min(scaled) < 1e-3) == flat
    if not flat:
        assert scaled[-1] > 2 * scaled[SWEEP.index(1.0)]


def test_the_clamp_takes_a_turns_radial_part_and_leaves_the_rest() -> None:
    before = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    after = torch.tensor([[7.0, 6.0], [5.0, 2.0]])
    # Updates (4, 2) = 4 (3, 4)/5 + 2 (4, -3)/5 and (4, 2) = 4 (1, 0) + 2 (0, 1).
    expected = torch.tensor([[3 + 1.6, 4 - 1.2], [1.0, 2.0]])
    torch.testing.assert_close(tangential(before, after), expected)


@given(st.integers(0, 2**31), st.floats(0.01, 1e3), st.floats(-0.9, 50))
def test_the_clamp_never_moves_along_the_state_whatever_the_radial_part(
    seed: int, length: float, radial: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    before = torch.randn(4, 8, generator=draw, dtype=torch.float64) * length
    around = torch.randn(4, 8, generator=draw, dtype=torch.float64)
    around -= (
        (around * before).sum(-1, keepdim=True) / before.square().sum(-1, keepdim=True) * before
    )
    # A tangential update is left alone; a radial part beside it goes without a trace.
    torch.testing.assert_close(tangential(before, before + around), before + around)
    torch.testing.assert_close(
        tangential(before, before * (1 + radial) + around), before + around, atol=1e-6, rtol=1e-6
    )


def test_the_clamped_loss_is_that_of_a_forward_with_clamped_turns() -> None:
    model, windows = build("per_loop_rmsnorm"), text()
    h = model.embed(windows[:, :-1])
    for _ in range(TURNS):
        update = model.turn(h) - h
        unit = h / h.norm(dim=-1, keepdim=True)
        h = h + update - (update * unit).sum(-1, keepdim=True) * unit
    found = evaluate(model, windows).clamped
    loss = float(token_loss(model.read(h, last=True), windows[:, 1:]))
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.lengths.mean == pytest.approx(float(h.norm(dim=-1).mean()), rel=1e-5)


def test_clamping_changes_nothing_where_a_turn_writes_nothing() -> None:
    model, windows = build("terminal_raw"), text()
    for block in model.blocks:
        torch.nn.init.zeros_(block.attention.to_out.weight)
        torch.nn.init.zeros_(block.feed_forward.down.weight)
    found = evaluate(model, windows)
    assert found.clamped.loss == pytest.approx(found.trained.loss, rel=1e-6)
    assert len({round(depth.lengths.mean, 4) for depth in found.depths}) == 1


def test_quantiles_of_lengths_are_those_of_the_tokens() -> None:
    found = spread_of(torch.arange(101.0).flip(0))
    assert (found.mean, found.p5, found.median, found.p95, found.p99, found.largest) == (
        50,
        5,
        50,
        95,
        99,
        100,
    )


def test_the_same_model_and_text_give_the_same_numbers_and_the_model_is_left_as_it_was() -> None:
    model, windows = build("per_loop_penalty").train(), text()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert evaluate(model, windows) == evaluate(model, windows)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_how_a_text_is_split_into_batches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, windows = build("per_loop_penalty"), text(7)
    whole = evaluate(model, windows)
    monkeypatch.setattr("scaleaudit.reference.evaluation._MOST_SEQUENCES", 3)
    split = evaluate(model, windows)
    assert split.scaled == pytest.approx(whole.scaled, rel=1e-5)
    assert [d.loss for d in split.depths] == pytest.approx([d.loss for d in whole.depths], rel=1e-5)


def test_every_trained_turn_is_measured_and_twice_and_four_times_as_many() -> None:
    assert depths(4) == (1, 2, 3, 4, 8, 16)
    assert depths(1) == (1, 2, 4)


class TestEarlyExit:
    def test_tokens_that_are_sure_and_right_at_once_leave_at_the_first_turn(self) -> None:
        sure = torch.tensor([[0.9, 0.1] * 50, [0.9, 0.9] * 50])
        losses = torch.tensor([[0.1, 5.0] * 50, [0.1, 0.1] * 50])
        found = early_exit(losses, sure)
        assert found.mean_turns == 1.5
        assert found.threshold == pytest.approx(0.9)
        assert found.perplexity == pytest.approx(found.full)

    def test_none_leaves_where_every_earlier_readout_is_bad(self) -> None:
        sure = torch.rand(3, 100)
        losses = torch.tensor([[9.0], [9.0], [1.0]]).expand(3, 100)
        found = early_exit(losses, sure)
        assert (found.threshold, found.mean_turns) == (None, 3.0)
        assert found.perplexity == pytest.approx(math.e)

    def test_all_leave_at_once_where_the_first_readout_is_as_good_as_the_last(self) -> None:
        found = early_exit(torch.ones(4, 100), torch.rand(4, 100))
        assert found.mean_turns == pytest.approx(1.0, abs=0.1)

    def test_a_single_turn_leaves_nothing_to_choose(self) -> None:
        found = early_exit(torch.ones(1, 10), torch.rand(1, 10))
        assert (found.threshold, found.mean_turns) == (None, 1.0)

    def test_what_is_no_number_lets_none_leave(self) -> None:
        found = early_exit(torch.full((2, 10), math.nan), torch.full((2, 10), math.nan))
        assert (found.threshold, found.mean_turns) == (None, 2.0)
        assert math.isnan(found.perplexity)

    @settings(max_examples=60)
    @given(st.integers(0, 2**31), st.floats(1.0, 1.5))
    def test_the_half_that_chose_keeps_to_the_target(self, seed: int, target: float) -> None:
        draw = torch.Generator().manual_seed(seed)
        losses, sure = torch.rand(4, 60, generator=draw), torch.rand(4, 60, generator=draw)
        # Both halves alike: what was chosen on the one is judged on its copy.
        found = early_exit(losses.repeat(1, 2), sure.repeat(1, 2), target)
        assert found.perplexity <= found.full * target * (1 + 1e-6)
        assert 1.0 <= found.mean_turns <= 4.0

    def test_the_half_that_judges_does_not_choose(self) -> None:
        sure = torch.tensor([[0.9], [0.9]]).expand(2, 100)
        losses = torch.ones(2, 100)
        losses[0, 50:] = 3.0  # leaving early costs nothing on the first half, much on the second
        found = early_exit(losses, sure)
        assert found.mean_turns == 1.0
        assert found.perplexity == pytest.approx(math.exp(3))
        assert found.full == pytest.approx(math.e)
