"""Models that are moved to a device or cast, while they are built and while they run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scaleaudit.api import analysed
from scaleaudit.capture.building import Building
from scaleaudit.capture.capturing import capture, capture_by
from scaleaudit.capture.engines import FakeEngine
from scaleaudit.capture.targets import load_target
from scaleaudit.domain.attempts import Attempt, Certify
from scaleaudit.domain.facts import Outcome
from scaleaudit.domain.graph import NodeKind

FILE = """
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.inner = nn.Embedding(32, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 32, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        h = self.embed(tokens)
        for _ in range(3):
            self.inner.to(h.device, h.dtype)
            h = h + self.inner(h)
        return self.head(h)


def scaleaudit_target():
    model, tokens = Tied(), torch.randint(32, (2, 8), device="cuda")
    return {"model": MOVED, "args": (tokens,)}
"""


@pytest.mark.parametrize(
    ("moved", "dtype"),
    [
        ("model.cuda()", "float32"),
        ("model.to('cuda')", "float32"),
        ("model.to(torch.device('cuda', 0), torch.bfloat16)", "bfloat16"),
        ("model.half().to('cuda:1')", "float16"),
        ("model.double()", "float64"),
    ],
)
def test_a_model_that_is_moved_and_cast_is_captured_without_memory(moved, dtype, tmp_path):
    file = tmp_path / "model.py"
    file.write_text(FILE.replace("MOVED", moved))
    target = load_target(file, "scaleaudit_target")
    assert target.engine is not None
    graph = capture_by(Attempt.FAKES, target).graph
    weights = [node for node in graph.nodes if node.kind is NodeKind.PARAMETER]
    assert {node.outputs[0].dtype for node in weights} == {dtype}
    embedding, *_ = (node for node in weights if node.outputs[0].shape == (32, 16))
    users = {node.base_op for node in graph.nodes if embedding.id in {r.node for r in node.refs()}}
    assert users >= {"aten.embedding", "aten.t"}


ELSEWHERE = """
import torch
from torch import nn
BEFORE


class Made(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(16, 16)

    def forward(self, x):
        for _ in range(3):
            x = x + self.inner(x) * torch.ones(16) + torch.arange(16)
        return x


def scaleaudit_target():
    INSIDE
        return {"model": Made(), "args": (torch.randn(2, 16),)}
"""


@pytest.mark.parametrize(
    ("before", "inside"),
    [
        ("torch.set_default_device('cuda')", "if True:"),
        ("", "torch.set_default_device('cuda')\n    if True:"),
        ("", "with torch.device('cuda'):"),
    ],
)
def test_a_default_device_needs_no_such_device(before, inside, tmp_path):
    file = tmp_path / "model.py"
    file.write_text(ELSEWHERE.replace("BEFORE", before).replace("INSIDE", inside))
    try:
        target = load_target(file, "scaleaudit_target")
        assert target.engine is not None
        graph = capture_by(Attempt.FAKES, target).graph
    finally:
        torch.set_default_device(None)
    assert sum(node.base_op == "aten.arange" for node in graph.nodes) == 3


def test_building_puts_back_what_it_changes():
    swap = torch.utils.swap_tensors
    with Building(FakeEngine(building=True)):
        assert nn.Linear(3, 4).bfloat16().weight.dtype is torch.bfloat16
    assert torch.utils.swap_tensors is swap


def test_facts_are_certified_on_the_cpu_whatever_device_is_set(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(ELSEWHERE.replace("BEFORE", "").replace("INSIDE", "if True:"))
    captured = capture(load_target(file, "scaleaudit_target"))
    torch.set_default_device("meta")
    try:
        found = analysed(captured, Certify.ANY).certification
    finally:
        torch.set_default_device(None)
    assert found is not None
    assert found.outcome is Outcome.CERTIFIED
