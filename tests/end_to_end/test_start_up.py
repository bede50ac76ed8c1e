"""What loads when: the same audits with and without torch's compiler at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, environment

ZOO = ROOT / "tests/models"
MODEL = """
import sys
from pathlib import Path

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.RMSNorm(8), nn.Linear(8, 8)

    def forward(self, h):
        return h + self.linear(self.norm(h))


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm, self.head = nn.Embedding(16, 8), nn.RMSNorm(8), nn.Linear(8, 16)
        self.block = {in_constructor}

    def forward(self, tokens):
        h, step = self.embedding(tokens), {in_forward}
        for _ in range(3):
            h = step(h)
        return self.head(self.norm(h))


def loss(model, tokens):
    found = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    heavy = "torch._dynamo.utils", "sympy.core", "yaml", "cel_expr_python"
    Path(__file__).with_suffix(".loaded").write_text(
        " ".join(name for name in heavy if name in sys.modules)
    )
    return found


def scaleaudit_target():
    return {{"model": Looped(), "args": (torch.zeros(2, 4, dtype=torch.long),), "loss": loss}}
"""
WAYS = {
    "plain": ("Block()", "self.block"),
    "constructor": ("torch.compile(Block())", "self.block"),
    "forward": ("Block()", "torch.compile(self.block)"),
}


def check(path: Path, **variables: str) -> list[dict[str, Any]]:
    """Audit a file; return its targets without their times."""
    done = subprocess.run(
        [sys.executable, "-m", "scaleaudit", "check", str(path), "--format", "json"],
        cwd=path.parent,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return [{**target, "seconds": 0} for target in json.loads(done.stdout)["targets"]]


def looped(folder: Path, way: str) -> Path:
    in_constructor, in_forward = WAYS[way]
    path = folder / "model.py"
    path.write_text(MODEL.format(in_constructor=in_constructor, in_forward=in_forward))
    return path


@pytest.mark.parametrize("way", WAYS)
def test_models_that_compile_are_judged_as_those_that_do_not(tmp_path, way):
    path = looped(tmp_path, way)
    (target,) = check(path)
    assert target["verdict"] == "fail"
    assert [finding["code"] for finding in target["findings"]] == ["SCL101"]
    (loop,) = target["loops"]
    assert loop["turns"] == 3
    assert [state["transition"] for state in loop["states"]] == ["carried"]
    compiles = way != "plain"
    heavy = "torch._dynamo.utils sympy.core" if compiles else ""
    assert path.with_suffix(".loaded").read_text() == heavy


def test_everything_may_be_loaded_at_once(tmp_path):
    path = looped(tmp_path, "plain")
    deferred = check(path)
    assert check(path, SCALEAUDIT_LOAD_ALL="1") == deferred
    assert path.with_suffix(".loaded").read_text() == "torch._dynamo.utils sympy.core"


@pytest.mark.parametrize("name", ["couplings", "gates", "scans"])
def test_the_zoo_is_judged_alike_however_it_is_loaded(name):
    path = ZOO / f"{name}.py"
    assert check(path) == check(path, SCALEAUDIT_LOAD_ALL="1")
