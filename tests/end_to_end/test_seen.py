"""Every audit says what it saw, what it did not understand, and what it took for the loss."""

from __future__ import annotations

import json

import pytest
from running import scaleaudit

MODEL = """\
import torch
from torch import nn
from torch.nn import functional as F


@torch.library.custom_op("seen::kernel", mutates_args=())
def kernel(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@kernel.register_fake
def _(x):
    return torch.empty_like(x)


kernel.register_autograd(lambda ctx, grad: grad)


class Looped(nn.Module):
    def __init__(self, place):
        super().__init__()
        self.place = place
        self.embed = nn.Embedding(16, 8)
        self.norm = nn.RMSNorm(8)
        self.mlp = nn.Linear(8, 8)
        self.head = nn.Linear(8, 16)

    def forward(self, tokens, labels=None):
        embedded = self.embed(tokens)
        h = kernel(embedded) if self.place == "outside" else embedded
        turns = 0
        while turns < 4 and (self.place != "branch" or h.norm() > 1):
            h = h + self.mlp(self.norm(h))
            turns += 1
        logits = self.head(h)
        if self.place == "deciding":
            logits = kernel(kernel(self.head(self.norm(h))))
        if labels is None:
            return {"logits": logits, "hidden": h, "lengths": tokens.sum(-1)}
        return {"logits": logits, "loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten())}


def trained(model, tokens):
    return model(tokens, tokens)["loss"]


def _target(place, **more):
    tokens = torch.zeros(2, 4, dtype=torch.long)
    return {"model": Looped(place), "args": (tokens,), **more}


def scaleaudit_target_given():
    return _target("nowhere", loss=trained)


def scaleaudit_target_found():
    tokens = torch.zeros(2, 4, dtype=torch.long)
    return {"model": Looped("outside"), "args": (tokens, tokens)}


def scaleaudit_target_missing():
    return _target("nowhere")


def scaleaudit_target_branch():
    return _target("branch", loss=trained)


def scaleaudit_target_deciding():
    return _target("deciding", loss=trained)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("coverage")
    (made / "seen.py").write_text(MODEL)
    return made


@pytest.fixture(scope="module")
def run(folder):
    return scaleaudit("check", "seen.py", "--output", "json:report.json", cwd=folder)


@pytest.fixture(scope="module")
def coverage(folder, run):
    assert run.code == 1
    document = json.loads((folder / "report.json").read_text())
    return {target["name"]: target["coverage"] for target in document["targets"]}


def test_calls_and_kinds_of_operators_are_counted(coverage):
    for found in coverage.values():
        assert found["operators"] > found["distinct_operators"] > 5


def test_the_loss_is_given_found_by_name_or_missing(coverage):
    said = {name: found["supervision"] for name, found in coverage.items()}
    assert said["given"] == {"loss": "given", "name": None, "outputs": []}
    assert said["found"] == {"loss": "found", "name": "loss", "outputs": []}
    assert said["missing"] == {"loss": "missing", "name": None, "outputs": ["logits", "hidden"]}


def test_unknown_operators_are_listed_and_those_that_decide_marked(coverage):
    unknown = {
        name: [(each["operator"], each["location"]["line"], each["decides"]) for each in found["unknown"]]
        for name, found in coverage.items()
    }  # fmt: skip
    lines = MODEL.splitlines()
    outside = 1 + lines.index(next(line for line in lines if "kernel(embedded)" in line))
    deciding = 1 + lines.index(next(line for line in lines if "kernel(kernel(" in line))
    assert unknown["found"] == [("seen.kernel.default", outside, False)]
    assert set(unknown["deciding"]) == {("seen.kernel.default", deciding, True)}
    assert not unknown["given"]


def test_every_assumption_has_its_line_and_says_what_was_assumed(coverage):
    (branch,) = coverage["branch"]["branches"]
    assert MODEL.splitlines()[branch["location"]["line"] - 1].strip().startswith("while turns")
    assert branch["message"].endswith("taken to be true 4 times")


def test_a_line_a_target_says_it_all(run):
    lines = [line.strip() for line in run.out.splitlines() if "coverage:" in line]
    assert len(lines) == 5
    assert lines[0].endswith("kinds, loss: given")
    assert lines[1].endswith("kinds, 1 unknown (none matters), loss: loss in the output")
    assert lines[2].endswith("kinds, loss: none")
    assert lines[3].endswith("kinds, 1 assumption, loss: given")
    assert ", 2 unknown (2 matter), loss: given" in lines[4]
    assert "    taken as supervised: logits, hidden" in run.out
    assert "    unknown, decides nothing: seen.py:" in run.out
    assert "    unknown, decides the verdict: seen.py:" in run.out


def test_an_unknown_verdict_fails_the_run_unless_told_otherwise(folder, run):
    assert "4 pass, 1 unknown): 2 warnings" in run.out
    assert run.code == 1
    settled = folder / "settled"
    settled.mkdir()
    (settled / "pyproject.toml").write_text('[tool.scaleaudit]\non-unknown = "warn"\n')
    one = ("check", "../seen.py::deciding", "--format", "concise")
    assert scaleaudit(*one, cwd=settled).code == 0
    assert scaleaudit(*one, "--on-unknown", "fail", cwd=settled).code == 1
