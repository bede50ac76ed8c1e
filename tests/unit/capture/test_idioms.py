"""Ordinary PyTorch comes through: cells, attention, autocast, compiled forwards, meta devices."""

from __future__ import annotations

import resource
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from capture_support import assert_runs_alike, calls, captured, ops, target_of
from torch import nn

from scaleaudit.capture.capturing import capture
from scaleaudit.domain.graph import NodeKind, NoteKind

D = 8
FUSED = ("gru", "lstm", "rnn", "transformer_encoder", "native_multi_head")


class Wrapped(nn.Module):
    def __init__(self, inner, call=None) -> None:
        super().__init__()
        self.inner = inner
        self.call = call or (lambda m, x: m(x))

    def forward(self, x):
        out = self.call(self.inner, x)
        return (out[0] if isinstance(out, tuple) else out).sum()


CELLS = {
    "gru_cell": lambda: Wrapped(nn.GRUCell(D, D)),
    "rnn_cell": lambda: Wrapped(nn.RNNCell(D, D)),
    "lstm_cell": lambda: Wrapped(nn.LSTMCell(D, D)),
    "gru": lambda: Wrapped(nn.GRU(D, D)),
    "lstm": lambda: Wrapped(nn.LSTM(D, D, num_layers=2)),
    "attention": lambda: Wrapped(nn.MultiheadAttention(D, 2), lambda m, x: m(x, x, x)),
    "encoder_layer": lambda: Wrapped(nn.TransformerEncoderLayer(D, 2, 16).eval()),
    "batch_norm": lambda: Wrapped(nn.BatchNorm1d(D)),
    "group_norm": lambda: Wrapped(nn.GroupNorm(2, D)),
    "spectral_norm": lambda: Wrapped(nn.utils.parametrizations.spectral_norm(nn.Linear(D, D))),
    "weight_norm": lambda: Wrapped(nn.utils.parametrizations.weight_norm(nn.Linear(D, D))),
}


@pytest.mark.parametrize("name", CELLS)
def test_modules_of_torch_come_through_in_parts(name):
    torch.manual_seed(0)
    found = assert_runs_alike(CELLS[name](), torch.randn(3, D))
    assert not [op for op in ops(found.graph) if any(word in op for word in FUSED)]


def test_dropout_in_training_is_recorded_with_its_scale():
    graph = captured(Wrapped(nn.Dropout(0.25)), torch.randn(3, D)).graph
    assert any("bernoulli" in op or "dropout" in op for op in ops(graph))


def test_autocast_shows_its_casts():
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Linear(D, D)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                x = self.w(x)
            return x.float().sum()

    graph = captured(Mixed(), torch.randn(3, D)).graph
    casts = [node.outputs[0].dtype for node in calls(graph, "aten._to_copy.default")]
    assert casts.count("bfloat16") == 3
    assert casts[-1] == "float32"


def test_compiled_forwards_run_eagerly():
    class Compiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.compile(nn.Linear(D, D))

        def forward(self, x):
            return self.w(x).sum()

    graph = captured(Compiled(), torch.randn(3, D)).graph
    assert [n.op for n in graph.nodes if n.kind is NodeKind.PARAMETER] == ["w.weight", "w.bias"]
    assert calls(graph, "aten.addmm.default")[0].modules[-1].path == "w"


def test_attention_of_torch_is_one_operator():
    class Attends(nn.Module):
        def forward(self, q):
            return F.scaled_dot_product_attention(q, q, q, is_causal=True).sum()

    graph = captured(Attends(), torch.randn(1, 2, 4, 8)).graph
    assert any("scaled_dot_product" in op for op in ops(graph))


class Grouped(nn.Module):
    """Experts as one matrix product, in a precision that its fakes refuse."""

    def __init__(self):
        super().__init__()
        self.experts = nn.Parameter(torch.randn(3, 16, 16))

    def forward(self, x):
        ends = torch.tensor([2, 5, 6], dtype=torch.int32)
        return torch._grouped_mm(x, self.experts, offs=ends).square().mean()


def test_grouped_products_are_recorded_on_fakes():
    model, x = Grouped(), torch.randn(6, 16)
    found = captured(model, x)
    assert not found.graph.notes
    (product,) = (n for n in found.graph.nodes if n.base_op == "aten._grouped_mm")
    assert product.outputs[0].shape == (6, 16)
    assert_runs_alike(model, x)


def test_factories_in_the_forward_are_calls_and_land_on_the_cpu():
    class Factories(nn.Module):
        def forward(self, x):
            mask = torch.ones(3, D, device="cuda").tril()
            return (x.cuda() * mask).to("cuda").sum() + torch.full((2,), 3.0).mean()

    graph = captured(Factories(), torch.randn(3, D)).graph
    assert "aten.ones.default" in ops(graph)
    assert "aten.full.default" in ops(graph)


def test_a_target_on_the_meta_device_is_captured_without_memory():
    class Wide(nn.Module):
        def __init__(self, width) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(4))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x.mean()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.device("meta"):
        model, x = Wide(100_000), torch.randn(1, 100_000)  # 160 GB of weights
    graph = capture(target_of(model, x)).graph
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # in KB: code that capture loads, no tensors
    assert len(calls(graph, "aten.mm.default")) == 4


@dataclass
class Result:
    loss: torch.Tensor
    logits: torch.Tensor


class Pair(NamedTuple):
    logits: torch.Tensor
    loss: torch.Tensor


CONTAINERS = {
    "dict": lambda loss, logits: {"loss": loss, "logits": logits},
    "ordered": lambda loss, logits: OrderedDict(loss=loss, logits=logits),
    "dataclass": Result,
    "namedtuple": lambda loss, logits: Pair(logits, loss),
    "namespace": lambda loss, logits: SimpleNamespace(loss=loss, logits=logits),
}


class Returning(nn.Module):
    def __init__(self, pack) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)
        self.pack = pack

    def forward(self, x):
        logits = self.w(x)
        return self.pack(logits.square().mean(), logits)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_the_loss_is_found_in_whatever_the_model_returns(kind):
    graph = captured(Returning(CONTAINERS[kind]), torch.randn(3, D)).graph
    assert graph[graph.loss.node].op == "aten.mean.default"
    assert [name for name, _ in graph.outputs] == ["logits"]
    assert not graph.loss_given
    assert not graph.notes


def test_places_in_tuples_and_lists_are_named():
    graph = captured(Returning(lambda a, b: (b, [a, {"x": b}])), torch.randn(3, D)).graph
    assert [name for name, _ in graph.outputs] == ["output[0]", "output[1][1].x"]


def test_of_several_scalars_the_one_that_others_are_added_up_to_is_the_loss():
    def pack(first, logits):
        second = logits.mean() * 2
        return {"loss": second, "first": first, "total": first + second}

    graph = captured(Returning(pack), torch.randn(3, D)).graph
    assert graph[graph.loss.node].op == "aten.add.Tensor"
    assert [name for name, _ in graph.outputs] == ["loss", "first"]
    assert [note.kind for note in graph.notes] == [NoteKind.LOSS]


def test_without_a_scalar_there_is_no_loss_and_a_note():
    graph = captured(Returning(lambda loss, logits: logits), torch.randn(3, D)).graph
    assert graph.loss is None
    assert [name for name, _ in graph.outputs] == ["output"]
    assert [note.kind for note in graph.notes] == [NoteKind.LOSS]


def test_a_loss_that_is_given_is_called_with_the_model():
    def loss(model, x, goal):
        return (model(x) - goal).square().mean()

    found = captured(nn.Linear(D, D), torch.randn(3, D), torch.randn(3, D), loss=loss)
    assert found.graph.loss_given
    assert [name for name, _ in found.graph.outputs] == ["output"]
    inputs = [node.op for node in found.graph.nodes if node.kind is NodeKind.INPUT]
    assert inputs == ["x", "goal"]


def test_keyword_and_nested_arguments_are_named():
    class Nested(nn.Module):
        def forward(self, batch, *, scale):
            return (batch["x"] * batch["more"][0] * scale).sum()

    batch = {"x": torch.randn(2, D), "more": [torch.randn(2, D)]}
    graph = captured(Nested(), batch, kwargs={"scale": torch.tensor(2.0)}).graph
    inputs = [node.op for node in graph.nodes if node.kind is NodeKind.INPUT]
    assert inputs == ["batch['x']", "batch['more'][0]", "scale"]


def test_leaves_describe_the_arguments_of_the_module():
    found = captured(Returning(CONTAINERS["dict"]), torch.randn(3, D))
    names = [node.name for node in found.module.graph.nodes if node.op == "placeholder"]
    assert len(names) == len(found.leaves) == 3
    assert [leaf.name for leaf in found.leaves] == ["x", "w.weight", "w.bias"]
    for leaf in found.leaves:
        assert found.graph[leaf.node].op == leaf.name
        assert found.node_of[leaf.node].op == "placeholder"


def test_the_users_model_is_left_as_it_was():
    model = Returning(CONTAINERS["dict"])
    before = dict(model.named_parameters())
    captured(model, torch.randn(3, D))
    after = dict(model.named_parameters())
    assert all(after[name] is tensor for name, tensor in before.items())
    assert not model._forward_hooks
