"""`diff` of revisions that are really audited."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from running import scaleaudit

MODEL = """\
import torch
from torch import nn
from torch.nn import functional as F

from parts import GAIN, readout


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.mlp = nn.RMSNorm(8), nn.Linear(8, 8)
        self.readout_norm, self.head = nn.RMSNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        h = x
        for _ in range(3):
            h = GAIN * h + self.mlp(self.norm(h))
        return readout(self, h)


def loss(model, x, y):
    return F.cross_entropy(model(x), y)


def scaleaudit_target():
    x, y = torch.randn(5, 8), torch.zeros(5, dtype=torch.long)
    return {"model": Looped(), "args": (x,), "loss": loss, "loss_args": (x, y)}
"""
BEFORE = "GAIN = 0.9\n\n\ndef readout(model, h):\n    return model.head(h)\n"
AFTER = "GAIN = 1.2\n\n\ndef readout(model, h):\n    return model.head(model.readout_norm(h))\n"


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """What is said of a file that did not change, while what it imports did."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "model.py").write_text(MODEL, encoding="utf-8")
    (folder / "parts.py").write_text(BEFORE, encoding="utf-8")
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "before")
    (folder / "parts.py").write_text(AFTER, encoding="utf-8")
    return scaleaudit("diff", "HEAD", "--", "model.py", cwd=folder)


def test_a_revision_is_audited_with_its_own_imports(compared):
    assert compared.err == ""
    assert "model.py::Looped: pass before, fail now" in compared.out


def test_what_changed_is_said_in_sentences(compared):
    assert (
        "The upper bound of the gain of state `h` went from 0.9 to 1.2, so it can reach 1."
        in compared.out
    )
    assert "This change made the readout `head` of state `h` blind: it was visible" in compared.out
    assert "Nothing in the loss sees the length of state `h` any more." in compared.out


def test_a_new_finding_is_the_exit_code(compared):
    assert compared.code == 1
    assert "new: SCL101 at model.py:" in compared.out
