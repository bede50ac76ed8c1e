"""A project that declares the law of its own operator, from the command line."""

from __future__ import annotations

import json

import pytest
from running import scaleaudit

MODEL = """
import torch
from torch import nn
from torch.nn import functional as F


@torch.library.custom_op("project::norm", mutates_args=())
def norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


norm.register_fake(torch.empty_like)
norm.register_autograd(lambda ctx, g: g)


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.norm = nn.RMSNorm(8)
        self.head = nn.Linear(8, 16)

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(4):
            h = h + self.mlp(self.norm(h))
        return self.head(norm(h))


def scaleaudit_target():
    tokens = torch.randint(16, (2, 5))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]

    def loss(model, inputs, targets):
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    return {"model": Looped(), "args": (inputs,), "loss": loss, "loss_args": (inputs, targets)}
"""
LAW = '[[tool.scaleaudit.laws]]\noperator = "project::norm"\n'


@pytest.fixture
def audited(tmp_path):
    def audit(settings: str):
        (tmp_path / "model.py").write_text(MODEL)
        (tmp_path / "pyproject.toml").write_text(settings)
        run = scaleaudit("check", "model.py", "--format", "json", cwd=tmp_path)
        return run, json.loads(run.out)["targets"][0] if run.out else None

    return audit


def test_without_a_law_the_verdict_is_unknown_and_with_one_it_is_not(audited):
    _, target = audited("")
    assert (target["verdict"], target["findings"][0]["code"]) == ("unknown", "SCL902")
    _, target = audited(LAW + "degree = 0\n")
    assert (target["verdict"], target["findings"][0]["code"]) == ("fail", "SCL101")
    assert target["coverage"]["declared"] == [
        {"operator": "project.norm", "where": "pyproject.toml: laws[0]", "law": "degree 0"}
    ]
    texts = [step["text"] for step in target["findings"][0]["proof"]]
    assert any("declared in pyproject.toml: laws[0]: degree 0" in text for text in texts)


def test_a_misspelt_key_is_wrong_usage(audited):
    run, _ = audited(LAW + "degre = 0\n")
    assert run.code == 2
    assert "'degree'" in run.err


def test_a_misspelt_key_in_code_is_told_at_the_line_that_writes_it(tmp_path):
    source = 'from scaleaudit import law\n\nlaw("project::norm", degre=0)\n' + MODEL
    (tmp_path / "model.py").write_text(source)
    run = scaleaudit("check", "model.py", "--format", "concise", cwd=tmp_path)
    assert run.code == 2
    assert run.out.startswith("model.py:3:")
    assert "did you mean degree?" in run.out
