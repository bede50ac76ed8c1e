"""The training that is timed: both loops train the same, and its operations are counted right."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training import Work, flops_of, ours, plain
from scaleaudit.reference.batches import windows_of
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig, Size
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss
from scaleaudit.reference.recipes import plan_by_recipe
from scaleaudit.reference.runs import model_of


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_both_loops_train_the_same_model_on_the_same_batches():
    config = model_of(plan_by_recipe("per_loop_rmsnorm", "tiny"))
    tokens = torch.randint(256, (4000,), generator=torch.Generator().manual_seed(1))
    work = Work(torch.device("cpu"), "tiny", config, windows_of(tokens.short(), 64, 64))
    mine, other = ours(work), plain(work)
    for _ in range(2):
        assert float(mine().loss) == pytest.approx(other(), rel=1e-4)


@pytest.mark.parametrize("condition", ["per_loop_rmsnorm", "terminal_rmsnorm"])
def test_operations_are_those_that_torch_counts(condition):
    size = Size(vocabulary=50, dim=16, heads=2, layers=3, hidden=40, context=32)
    config = ReferenceConfig(size, CONDITIONS[condition], turns=3)
    model, tokens = LoopedDecoder(config), torch.randint(50, (4, 32))
    # Attention as plain products: torch counts no other kernel of a CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.autograd.backward(looped_loss(model, tokens, tokens))
    # Logits that no loss asks for are computed, and thrown away, by the model as it is written.
    spare = 0 if condition.startswith("per_loop") else 2 * 2 * 50 * 16 * tokens.numel()
    assert flops_of(config) * tokens.numel() + spare == counter.get_total_flops()
