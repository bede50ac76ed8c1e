"""Two processes that probe one model together come to what one alone comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from scaleaudit.bench import built, probe_target
from scaleaudit.domain.probing import ProbeRequest

MODEL = """
import torch
from torch import nn
from torch.nn import functional as F

class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 11)

    def forward(self, tokens, targets):
        h = self.embed(tokens)
        for _ in range(3):
            h = h + torch.tanh(self.mix(F.rms_norm(h, (8,))))
        return F.cross_entropy(self.head(F.rms_norm(h, (8,))).flatten(0, 1), targets.flatten())

def scaleaudit_target():
    tokens = torch.randint(11, (2, 6))
    return {"model": Looped(), "args": (tokens, tokens)}
"""
LAUNCH = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d")
PROBE = ("-m", "scaleaudit", "probe", "model.py", "--device", "cpu", "--steps", "4", "--seeds", "1")


def test_two_processes_give_the_losses_norms_and_verdict_of_one(tmp_path):
    torch.set_num_threads(1)
    (tmp_path / "model.py").write_text(MODEL)
    alone = probe_target(
        built(str(tmp_path / "model.py"), "scaleaudit_target"),
        ProbeRequest(device="cpu", steps=4, seeds=1),
    )
    done = subprocess.run(
        [sys.executable, *LAUNCH, "--rdzv-endpoint", "localhost:0", *PROBE, "--format", "json"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SCALEAUDIT_NO_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # Were more than one process to print, this were no JSON.
    (target,) = json.loads(done.stdout)["targets"]
    together = target["probe"]
    assert together["verdict"] == alone.verdict.value
    assert together["recipe"]["data"].endswith("divided among 2 processes")
    assert len(together["runs"]) == len(alone.runs) >= 3
    for mine, ours in zip(alone.runs, together["runs"], strict=True):
        assert ours["losses"] == pytest.approx(mine.losses, rel=1e-4)
        (state,), (found,) = mine.states, ours["states"]
        for turns, others in zip(state.turns, found["norms"], strict=True):
            for at, other in zip(turns, others, strict=True):
                assert other["mean"] == pytest.approx(at.mean, rel=1e-4)
                assert other["p95"] == pytest.approx(at.p95, rel=1e-4)
                assert other["max"] == pytest.approx(at.largest, rel=1e-4)
        for at, other in zip(state.depths, found["depths"], strict=True):
            assert other["turns"] == at.turns
            assert other["norm"] == pytest.approx(at.norm, rel=1e-4)
            assert other["loss"] == pytest.approx(at.loss, rel=1e-4)
