"""Writes in place become values: the captured graph computes what the model does."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from capture_support import assert_runs_alike, calls, captured, ops
from torch import nn

from scaleaudit.domain.graph import Ref

D = 8
Step = Callable[["Holder", torch.Tensor], object]


class Holder(nn.Module):
    """A few weights and buffers, and a forward that is given."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.w = nn.Linear(D, D)
        self.bare = nn.Parameter(torch.randn(D))
        self.register_buffer("cache", torch.zeros(4, D))
        self.register_buffer("alpha", torch.tensor(0.9))
        self.step = step

    def forward(self, x):
        return self.step(self, x)


def in_place_arithmetic(m, x):
    h = x.clone()
    for _ in range(3):
        h.add_(m.w(h))
        h.mul_(0.5)
    h[:, 1:3] += 1
    h[0] = 2.0
    return h.sum()


def chunks_of_one_tensor(m, x):
    with torch.no_grad():
        h = m.w(x)
        a, b = h.chunk(2, -1)
        a.mul_(2)
        b.zero_()
        c = a + 1
    return (h * c.mean()).sum(), a.sum(), b


def key_value_cache(m, x):
    outs = []
    cache = torch.zeros(4, x.shape[0], D)
    h = x
    for t in range(4):
        h = m.w(h)
        cache[t] = h
        outs.append(cache[: t + 1].mean(0))
    return torch.stack(outs).sum()


def buffer_as_cache(m, x):
    m.cache[:3] = x
    m.cache[3].copy_(x[0])
    return (m.cache @ m.w.weight).sum()


def masked_attention(m, x):
    scores = x @ x.t()
    mask = torch.triu(torch.ones(x.shape[0], x.shape[0], dtype=torch.bool), 1)
    scores.masked_fill_(mask, float("-inf"))
    return scores.softmax(-1).sum()


def assignment_by_mask(m, x):
    h = m.w(x)
    h[h < 0] = 0.0
    return h.sum()


def an_out_argument(m, x):
    out = torch.empty_like(x)
    torch.add(x, 1, out=out)
    return out.sum()


def promotion_to_the_written_type(m, x):
    h = x.to(torch.bfloat16)
    h.add_(x)
    h.mul_(m.bare)
    return h.float().sum()


def views_of_views(m, x):
    h = m.w(x)
    v = h.view(-1)
    w = v[2:6]
    w.fill_(3.0)
    z = h.t()
    z[0].sub_(1)
    return (v * 2).sum() + w.sum() + h.norm()


def a_tensor_moved_by_data(m, x):
    h = m.w(x)
    y = x.clone()
    y.data = h * 2
    return y.sum()


def index_writes(m, x):
    h = torch.zeros(4, D)
    h.index_add_(0, torch.tensor([0, 1, 1]), m.w(x))
    h.scatter_(1, torch.zeros(4, 1, dtype=torch.long), 1.0)
    h[torch.tensor([0, 2])] = 5.0
    h[:, 0] = x[0, 0]
    return h.sum()


def parts_of_a_split(m, x):
    with torch.no_grad():
        a, b = m.w(x).split(4, -1)
        a += b
    return (a * b).sum()


def unbound_rows(m, x):
    rows = x.unbind(0)
    h = rows[0]
    for row in rows[1:]:
        h = h + row.clone().mul_(2)
    return h.sum()


def transposed_in_place(m, x):
    h = m.w(x)
    h.t_()
    return h.sum() + h[0].sum()


def complex_rotation(m, x):
    angles = torch.polar(torch.ones(4), torch.arange(4.0))
    z = torch.view_as_complex(m.w(x).reshape(-1, 4, 2))
    return torch.view_as_real(z * angles).sum()


def constants_and_buffers(m, x):
    return (x * m.alpha * torch.tensor(0.5) + torch.tensor([1.0, 2.0]).sum()).sum()


def einsum(m, x):
    return torch.einsum("bi,ij->bj", x, m.w.weight).sum()


def norms(m, x):
    both = F.rms_norm(x, (D,)).sum() + F.layer_norm(x, (D,)).sum()
    return both + F.normalize(x).sum() + F.cosine_similarity(x, x + 1).sum()


def selection_by_mask(m, x):
    h = m.w(x)
    return h[h > 0].mean()


def elements_as_a_list(m, x):
    values = x.mean(0).tolist()
    return (x * values[0]).sum()


def numbers_read(m, x):
    h = m.w(x)
    n = h.norm().item()
    return (h * (1 / n) + 2 * n - h.abs() ** n - (3 - n) % 2).mean()


PROGRAMS: list[Step] = [
    in_place_arithmetic,
    chunks_of_one_tensor,
    key_value_cache,
    buffer_as_cache,
    masked_attention,
    assignment_by_mask,
    an_out_argument,
    promotion_to_the_written_type,
    views_of_views,
    a_tensor_moved_by_data,
    index_writes,
    parts_of_a_split,
    unbound_rows,
    transposed_in_place,
    complex_rotation,
    constants_and_buffers,
    einsum,
    norms,
    selection_by_mask,
    elements_as_a_list,
    numbers_read,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_captured_graph_computes_what_the_model_does(program):
    torch.manual_seed(1)
    assert_runs_alike(Holder(program), torch.randn(3, D))


def test_no_operator_of_the_graph_writes():
    for program in (in_place_arithmetic, key_value_cache, masked_attention):
        graph = captured(Holder(program), torch.randn(3, D)).graph
        assert not [op for op in ops(graph) if op.split(".")[1].endswith("_")]


def test_a_write_through_a_view_says_where_it_went():
    def step(m, x):
        h = m.w(x)
        h[:, 1:3] = x[:, :2]
        return h.sum()

    graph = captured(Holder(step), torch.randn(3, D)).graph
    (write,) = calls(graph, "scaleaudit.write_view")
    arguments = dict(write.arguments)
    assert isinstance(arguments["base"], Ref)
    assert isinstance(arguments["value"], Ref)
    assert [view[0] for view in arguments["views"]] == ["aten.slice.Tensor"]
    (total,) = calls(graph, "aten.sum.default")
    assert dict(total.arguments)["self"] == Ref(write.id)


def test_filling_a_tensor_does_not_read_it():
    def step(m, x):
        h = m.w(x)
        h.fill_(2.0)
        return h.sum()

    graph = captured(Holder(step), torch.randn(3, D)).graph
    (fill,) = calls(graph, "aten.full.default")
    assert not list(fill.refs())
    assert dict(fill.arguments)["fill_value"] == 2.0
    (total,) = calls(graph, "aten.sum.default")
    assert dict(total.arguments)["self"] == Ref(fill.id)


def test_a_write_through_data_has_no_gradient():
    def step(m, x):
        h = m.w(x)
        h.data[0] = m.bare
        return h.sum()

    graph = captured(Holder(step), torch.randn(3, D)).graph
    (write,) = calls(graph, "scaleaudit.write_view")
    value = graph[dict(write.arguments)["value"].node]
    assert value.op == "aten.detach.default"


class Cached(nn.Module):
    """Keeps a copy of what it read, as caches do for each of several loops."""

    def __init__(self):
        super().__init__()
        self.w = nn.Linear(D, D)

    def forward(self, x):
        h = self.w(x)
        first, again = copy.deepcopy([kept := h.detach(), kept])
        assert first is again
        assert first is not kept
        return (h + first).square().mean()


def test_deep_copies_of_tensors_are_clones_without_gradient():
    graph = captured(Cached(), torch.randn(3, D)).graph
    (cloned,) = (n for n in graph.nodes if n.base_op == "aten.clone")
    assert not cloned.grad
    (added,) = (n for n in graph.nodes if n.base_op == "aten.add")
    assert Ref(cloned.id) in added.operands
