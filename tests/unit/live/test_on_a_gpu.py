"""Models on a GPU are audited where they are: nothing is copied there, nothing is drawn there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from restless import Restless, loss_of
from test_live import Looped, X, Y
from test_nothing_changes import picture, world
from torch import nn

import scaleaudit
from scaleaudit.capture._torch_private import storage_key
from scaleaudit.capture.engines import FakeEngine

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
audit = partial(scaleaudit.audit, certify="never")


class Positioned(Looped):
    """A model with a plain tensor on the GPU, which no module moves."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = torch.ones(8, device="cuda")

    def forward(self, x: torch.Tensor, turns: int = 3) -> torch.Tensor:
        return super().forward(x + self.positions, turns)


@pytest.mark.filterwarnings("ignore:TensorFloat32")
@pytest.mark.parametrize("kind", [Looped, Positioned])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_there_is_judged_and_goes_on(kind, compiled):
    model, batch = kind().cuda(), (X.cuda(), Y.cuda())
    run = torch.compile(model) if compiled else model
    weighed = nn.CrossEntropyLoss(weight=torch.ones(4, device="cuda"))
    before, state = run(batch[0]), torch.cuda.get_rng_state()
    seen = picture(model)
    report = audit(run, *batch, loss=lambda model, x, y: weighed(model(x), y))
    (target,) = report.targets
    assert [finding.code for finding in target.findings][:1] == ["SCL101"]
    assert not any("real tensors" in note.message for note in target.facts.coverage.notes)
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert picture(model) == seen
    assert torch.equal(run(batch[0]), before)


def test_tensors_that_share_memory_there_share_it_here():
    whole = torch.zeros(12, device="cuda")
    engine = FakeEngine(building=False)
    first, second = (engine.adopt(part.view(2, 3)) for part in whole.split(6))
    assert first.device == second.device == torch.device("cpu")
    assert storage_key(first) == storage_key(second)
    assert (second.shape, second.stride(), second.storage_offset()) == ((2, 3), (3, 1), 6)


def test_large_weights_are_not_copied():
    model = nn.Sequential(*(nn.Linear(4096, 4096, device="cuda") for _ in range(4)))
    x = torch.zeros(2, 4096, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    assert audit(model, x).targets[0].verdict.value == "pass"
    assert torch.cuda.max_memory_allocated() - before < 1 << 20


class OutOfSight(Looped):
    def forward(self, x: torch.Tensor, turns: int = 3) -> torch.Tensor:
        return super().forward(x + torch.from_numpy(np.ones_like(x.cpu().numpy())).cuda(), turns)


def test_what_fakes_cannot_answer_is_run_there():
    (target,) = audit(OutOfSight().cuda(), X.cuda(), Y.cuda(), loss=loss_of).targets
    assert target.verdict.value == "fail"
    assert any("real tensors" in note.message for note in target.facts.coverage.notes)


@pytest.mark.parametrize("way", ["fakes", "fails"])
def test_nothing_is_left_changed_there(way):
    model, batch = Restless(way).cuda(), (X.cuda(), Y.cuda())
    before = picture(model), world(), torch.cuda.get_rng_state().tolist()
    audit(model, *batch, loss=loss_of)
    assert (picture(model), world(), torch.cuda.get_rng_state().tolist()) == before
