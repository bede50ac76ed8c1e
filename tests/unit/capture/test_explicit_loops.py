"""Explicit loops and exported programs: turns of one site, like a Python loop's."""

from __future__ import annotations

import torch
from capture_support import calls, captured, target_of
from torch import nn
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop

from scaleaudit.capture import capturing
from scaleaudit.capture.capturing import lowered
from scaleaudit.capture.engines import RealEngine
from scaleaudit.capture.exporting import exported
from scaleaudit.capture.session import record
from scaleaudit.domain.attempts import Attempt
from scaleaudit.domain.graph import NodeKind, NoteKind

D = 8


class Model(nn.Module):
    def __init__(self, step) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)
        self.step = step

    def forward(self, x):
        return self.step(self, x)


def graph_of(step):
    return captured(Model(step), torch.randn(3, D)).graph


def test_a_counted_while_loop_turns_as_often_as_it_says():
    def step(m, x):
        carried = (torch.tensor(0), x)
        _, h = while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, m.w(h).tanh()), carried)
        return h.sum()

    tanhs = calls(graph_of(step), "aten.tanh.default")
    assert len(tanhs) == 3
    assert len({node.site for node in tanhs}) == 1
    assert tanhs[0].modules[0].path == "Model"


def test_a_while_loop_with_an_unknown_end_turns_a_few_times():
    def step(m, x):
        (h,) = while_loop(lambda h: h.norm() > 1, lambda h: (m.w(h).tanh(),), (m.w(x),))
        return h.sum()

    graph = graph_of(step)
    assert len(calls(graph, "aten.tanh.default")) == 4
    assert [note.kind for note in graph.notes] == [NoteKind.ORACLE]


def test_a_scan_turns_once_for_every_element():
    def step(m, x):
        h, seen = scan(lambda h, row: (m.w(h).tanh() + row, h * 2), x[0], x)
        return h.sum() + seen.mean()

    tanhs = calls(graph_of(step), "aten.tanh.default")
    assert len(tanhs) == 3
    assert len({node.site for node in tanhs}) == 1


def test_an_unknown_branch_takes_the_first_way():
    def step(m, x):
        return torch.cond(m.w(x).sum() > 0, lambda a: a.tanh(), lambda a: a.exp(), (x,)).sum()

    graph = graph_of(step)
    assert len(calls(graph, "aten.tanh.default")) == 1
    assert not calls(graph, "aten.exp.default")


class Exported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Model(lambda m, x: x + m.w(x).tanh())

    def forward(self, x):
        with torch.no_grad():
            x = self.block(x)
        for _ in range(2):
            x = self.block(x)
        x.add_(1.0)
        return {"loss": x.mean(), "state": x.detach()}


def test_an_exported_program_keeps_lines_modules_gradients_and_names():
    again = exported(target_of(Exported(), torch.randn(3, D)))
    graph = lowered(again, record(again, RealEngine())).graph
    tanhs = calls(graph, "aten.tanh.default")
    assert [node.grad for node in tanhs] == [False, True, True]
    assert tanhs[1].site == tanhs[2].site
    assert tanhs[1].modules[-1].path == "block"
    assert tanhs[1].location.path == __file__
    assert [n.op for n in graph.nodes if n.kind is NodeKind.PARAMETER] == [
        "block.w.weight",
        "block.w.bias",
    ]
    assert [name for name, _ in graph.outputs] == ["state"]
    assert graph[graph.loss.node].op == "aten.mean.default"


def test_export_is_the_last_way_and_says_so(monkeypatch):
    def fails(*args, **named):
        raise OSError("not here")

    def fails_too(*args, **named):
        raise KeyError("nor here")

    monkeypatch.setitem(capturing.WAYS, Attempt.BUILT_REAL, fails)
    monkeypatch.setitem(capturing.WAYS, Attempt.REAL, fails_too)
    graph = captured(Exported(), torch.randn(3, D)).graph
    assert graph.notes[0].kind is NoteKind.FALLBACK
    assert "torch.export" in graph.notes[0].message
