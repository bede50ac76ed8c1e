"""The reference models: their sizes, what their losses ask, and that they train."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scaleaudit.reference import targets
from scaleaudit.reference.config import CONDITIONS, SIZES, ReferenceConfig
from scaleaudit.reference.model import CausalAttention, LoopedDecoder
from scaleaudit.reference.objective import looped_loss, mean_square, token_loss

BASE = {"tiny": 151_872, "44m": 43_934_208, "129m": 128_822_016}
"""Parameters of a model with a norm before the head and none between loops."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def build(condition: str, size: str = "tiny", turns: int = 4) -> LoopedDecoder:
    return LoopedDecoder(
        ReferenceConfig(size=SIZES[size], condition=CONDITIONS[condition], turns=turns)
    )


def batch() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(SIZES["tiny"].vocabulary, (2, 17))
    return tokens[:, :-1], tokens[:, 1:]


def parameters(condition: str, size: str) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(condition, size).parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_parameter_counts_are_those_of_the_docs(condition: str, size: str) -> None:
    extra = {"terminal_raw": -1, "per_loop_raw": -1, "norm_between": 1}.get(condition, 0)
    assert parameters(condition, size) == BASE[size] + extra * SIZES[size].dim


def test_the_two_sizes_of_the_paper_are_near_44_and_129_million() -> None:
    assert BASE["44m"] == pytest.approx(44e6, rel=0.002)
    assert BASE["129m"] == pytest.approx(129e6, rel=0.002)


def test_two_conditions_are_blind() -> None:
    blind = {name for name, condition in CONDITIONS.items() if condition.blind}
    assert blind == {"terminal_rmsnorm", "per_loop_rmsnorm"}


def test_every_condition_and_size_has_a_target_function() -> None:
    declared = {name for name in vars(targets) if name.startswith("scaleaudit_target_")}
    assert declared == {
        f"scaleaudit_target_{condition}_{size}" for condition in CONDITIONS for size in SIZES
    }


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_target_names_its_own_condition_and_size(condition: str) -> None:
    target = getattr(targets, f"scaleaudit_target_{condition}_tiny")()
    assert target["model"].config == ReferenceConfig(SIZES["tiny"], CONDITIONS[condition])
    assert target["loss"](target["model"], *target["loss_args"]).ndim == 0


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_parameter_is_trained(condition: str) -> None:
    model = build(condition)
    looped_loss(model, *batch()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_logits_and_states_come_out_at_every_turn() -> None:
    tokens, _ = batch()
    output = build("terminal_rmsnorm", turns=3)(tokens)
    assert [tuple(h.shape) for h in output.states] == [(2, 16, 64)] * 3
    assert [tuple(z.shape) for z in output.logits] == [(2, 16, 256)] * 3


def test_a_token_never_sees_the_future() -> None:
    tokens, _ = batch()
    changed = tokens.clone()
    changed[:, 8:] = (changed[:, 8:] + 1) % SIZES["tiny"].vocabulary
    model = build("per_loop_rmsnorm")
    before, after = model(tokens).logits[-1], model(changed).logits[-1]
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert not torch.allclose(before[:, 8:], after[:, 8:])


def test_terminal_loss_is_the_last_turns_alone() -> None:
    tokens, answers = batch()
    model = build("terminal_rmsnorm")
    expected = token_loss(model(tokens).logits[-1], answers)
    torch.testing.assert_close(looped_loss(model, tokens, answers), expected)


def test_per_loop_loss_is_the_mean_over_turns() -> None:
    tokens, answers = batch()
    model = build("per_loop_raw")
    turns = [token_loss(logits, answers) for logits in model(tokens).logits]
    torch.testing.assert_close(looped_loss(model, tokens, answers), sum(turns) / 4)


def test_penalty_adds_a_hundredth_of_the_mean_square_over_turns() -> None:
    tokens, answers = batch()
    model = build("terminal_penalty")
    output = model(tokens)
    expected = token_loss(output.logits[-1], answers) + 0.01 * mean_square(output.states)
    torch.testing.assert_close(looped_loss(model, tokens, answers), expected)


@pytest.mark.parametrize(
    ("condition", "blind_turns"),
    [
        ("terminal_rmsnorm", (1, 2, 3, 4)),
        ("terminal_raw", ()),
        ("per_loop_raw", ()),
        ("per_loop_final_norm", (4,)),
        ("norm_between", (1, 2, 3, 4)),
    ],
)
def test_only_normed_readouts_forget_the_length(
    condition: str, blind_turns: tuple[int, ...]
) -> None:
    model = build(condition).double()
    h = torch.randn(2, 16, 64, dtype=torch.float64)
    for turn in range(1, 5):
        last = turn == 4
        same = torch.allclose(model.read(h, last=last), model.read(100 * h, last=last), rtol=1e-4)
        assert same == (turn in blind_turns)


def test_norm_between_loops_fixes_the_length_of_every_state() -> None:
    output = build("norm_between")(batch()[0])
    for h in output.states:
        length = h.norm(dim=-1)
        torch.testing.assert_close(length, torch.full_like(length, 8.0))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        CausalAttention(dim=10, heads=3)
