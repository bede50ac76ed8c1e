"""Probes of saved weights: measured and trained as they are in the file, seed after seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scaleaudit.bench import bench_of, built, probe_target
from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.errors import ConfigError
from scaleaudit.weights.fitting import load_weights

MODEL = """
import torch
from torch import nn
from torch.nn import functional as F

class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11)
        self.embed.weight.requires_grad_(False)

    def forward(self, tokens, targets):
        h = self.embed(tokens)
        for _ in range(3):
            h = h + torch.tanh(self.mix(F.rms_norm(h, (8,))))
        return F.cross_entropy(self.head(F.rms_norm(h, (8,))).flatten(0, 1), targets.flatten())

def scaleaudit_target():
    tokens = torch.randint(11, (2, 6))
    return {"model": Looped(), "args": (tokens, tokens)}
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    torch.set_num_threads(1)
    file = tmp_path_factory.mktemp("target") / "model.py"
    file.write_text(MODEL)
    return built(str(file), "scaleaudit_target")


@pytest.fixture
def saved(target, tmp_path):
    """Weights of which the embedding is a thousand times as long as the model's own."""
    weights = {name: value.detach().clone() for name, value in target.model.state_dict().items()}
    weights["embed.weight"] *= 1000
    torch.save({"model": weights, "step": 7}, tmp_path / "saved.pt")
    return str(tmp_path / "saved.pt")


def test_a_checkpoint_is_what_is_measured(target, saved):
    found = probe_target(target, ProbeRequest(device="cpu", train=False, checkpoint=saved))
    own = probe_target(target, ProbeRequest(device="cpu", train=False))
    assert found.verdict is ProbeVerdict.INCONCLUSIVE
    assert (found.runs, found.steps) == ((), 0)
    assert found.diagnostics.weights == f"{saved} (its model)"
    assert own.diagnostics.weights == ""
    long, short = (each.diagnostics.states[0].steps[0].norm for each in (found, own))
    assert long == pytest.approx(1000 * short, rel=0.5)


def test_every_seed_begins_with_the_checkpoint_and_trains_what_the_model_trains(target, saved):
    bench = bench_of(target, ProbeRequest(device="cpu", checkpoint=saved))
    weights = load_weights(Path(saved), target.model).values
    for seed in (0, 1):
        given = bench.weights(seed)
        assert all(torch.equal(given[name], weights[name]) for name in weights)
        trained = {name for name, value in given.items() if value.requires_grad}
        assert trained == weights.keys() - {"embed.weight"}


def test_a_checkpoint_that_does_not_fit_is_a_wrong_command(target, tmp_path):
    torch.save({"mix.weight": torch.ones(3, 3)}, tmp_path / "other.pt")
    request = ProbeRequest(device="cpu", checkpoint=str(tmp_path / "other.pt"))
    with pytest.raises(ConfigError, match=r"mix.weight is float32\[3, 3\] in the file"):
        probe_target(target, request)


def test_measuring_that_would_use_up_the_budget_is_left_to_a_run_of_its_own(target, monkeypatch):
    monkeypatch.setattr("scaleaudit.probe.protocol._DIAGNOSING", 1e9)
    trained = probe_target(target, ProbeRequest(device="cpu", steps=1, seeds=1))
    assert trained.diagnostics is None
    assert any("--no-train measures it" in note for note in trained.notes)
    assert probe_target(target, ProbeRequest(device="cpu", train=False)).diagnostics is not None
