"""Numbers read from tensors: the oracle keeps loops going, and what was read stays known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from capture_support import calls, captured, ops
from torch import nn

from scaleaudit.domain.graph import NodeKind, NoteKind, ancestors
from scaleaudit.errors import CaptureError

D = 8


class Halting(nn.Module):
    def __init__(self, step) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)
        self.halt = nn.Linear(D, 1)
        self.step = step

    def forward(self, x):
        return self.step(self, x)


def graph_of(step):
    return captured(Halting(step), torch.randn(3, D)).graph


def while_not_done(m, x):
    done = False
    while not done:
        x = x + m.w(x).tanh()
        done = bool((m.halt(x).sigmoid() > 0.9).all())
    return x.sum()


def while_probability_is_small(m, x):
    p = 0.0
    while p < 0.99:
        x = x + m.w(x).tanh()
        p = p + m.halt(x).sigmoid().mean().item()
    return x.sum()


def while_any_is_active(m, x):
    active = torch.ones(x.shape[0], dtype=torch.bool)
    while active.any():
        x = x + m.w(x).tanh()
        active = active & (m.halt(x).squeeze(-1) < 0)
    return x.sum()


def until_it_converges(m, x):
    for _ in range(50):
        new = x + m.w(x).tanh()
        if (new - x).norm() < 1e-3:
            break
        x = new
    return x.sum()


def until_a_helper_says_so(m, x):
    def close(a, b):
        return (a - b).abs().max().item() < 1e-4

    while True:
        new = x + m.w(x).tanh()
        if close(new, x):
            break
        x = new
    return x.sum()


def as_often_as_an_integer_says(m, x):
    turns = int(m.halt(x).sigmoid().sum())
    for _ in range(turns):
        x = x + m.w(x).tanh()
    return x.sum()


def as_often_as_an_item_says(m, x):
    turns = (m.halt(x) > 0).sum().item()
    for _ in range(turns):
        x = x + m.w(x).tanh()
    return x.sum()


LOOPS = [
    while_not_done,
    while_probability_is_small,
    while_any_is_active,
    until_it_converges,
    until_a_helper_says_so,
    as_often_as_an_integer_says,
    as_often_as_an_item_says,
]


@pytest.mark.parametrize("step", LOOPS, ids=lambda step: step.__name__)
def test_a_loop_with_an_unknown_end_turns_a_few_times_and_ends(step):
    graph = graph_of(step)
    assert 4 <= len(calls(graph, "aten.tanh.default")) <= 6
    notes = [note for note in graph.notes if note.kind is NoteKind.ORACLE]
    assert notes
    assert Path(notes[0].location.path) == Path(__file__)


def test_a_note_says_how_a_test_was_answered():
    (note,) = graph_of(while_any_is_active).notes
    assert note.message.endswith("does not compute, taken to be true 4 times, then false")


def test_nested_loops_turn_afresh_each_time():
    def step(m, x):
        x = m.w(x)
        while m.halt(x).mean() > 0:
            while x.norm() > 1:
                x = x + m.w(x).tanh()
        return x.sum()

    assert len(calls(graph_of(step), "aten.tanh.default")) == 16


def accepted_by_a_helper(m, x):
    def attempt(h, t, size):
        new = h + size * m.w(h).tanh()
        if (new - h).norm() <= 1:
            return new, t + size, size
        return h, t, size / 2

    t, size = 0, 1
    while t < 4:
        x, t, size = attempt(x, t, size)
    return x.sum()


def rejected_by_a_helper(m, x):
    def attempt(h, t):
        new = h + m.w(h).tanh()
        if (new - h).norm() > 1:
            return h, t + 1
        return new, t + 1

    t = 0
    while t < 4:
        x, t = attempt(x, t)
    return x.sum()


def rejected_by_continue(m, x):
    t, size = 0, 1.0
    while t < 4:
        new = x + size * m.w(x).tanh()
        if (new - x).norm() > 1:
            size = size / 2
            continue
        x, t = new, t + 1
    return x.sum()


@pytest.mark.parametrize(
    "step",
    [accepted_by_a_helper, rejected_by_a_helper, rejected_by_continue],
    ids=lambda step: step.__name__,
)
def test_steps_of_a_solver_are_accepted(step):
    graph = graph_of(step)
    applied = calls(graph, "aten.tanh.default")
    assert len(applied) == 4
    assert {node.id for node in applied} <= ancestors(graph, (graph.loss.node,))


def test_checks_that_raise_are_passed():
    def step(m, x):
        h = m.w(x)
        if torch.isnan(h).any():
            raise ValueError("nan")
        assert torch.isfinite(h).all()
        return h.sum()

    assert graph_of(step).loss is not None


def test_logging_leaves_no_note_and_no_leak():
    def step(m, x):
        for _ in range(3):
            x = x + m.w(x).tanh()
            f"{x.norm().item():.3f}"
        return x.sum() / math.sqrt(7)

    graph = graph_of(step)
    assert not graph.notes
    assert "scaleaudit.leaked_scalar" not in ops(graph)


def test_a_number_that_was_read_keeps_its_dependence():
    def step(m, x):
        h = m.w(x)
        return (h / (2 * h.norm().item() + 1)).sum()

    graph = graph_of(step)
    (quotient,) = calls(graph, "aten.div.Tensor")
    above = {graph[i].op for i in ancestors(graph, (dict(quotient.arguments)["other"].node,))}
    assert {"aten._local_scalar_dense.default", "aten.linalg_vector_norm.default"} <= above
    assert {"aten.mul.Tensor", "aten.add.Tensor"} <= above


def test_a_float_read_is_recognised_where_it_is_used():
    def step(m, x):
        h = m.w(x)
        return (h / float(h.norm().detach())).sum()

    graph = graph_of(step)
    (quotient,) = calls(graph, "aten.div.Tensor")
    assert graph[dict(quotient.arguments)["other"].node].op == "aten._local_scalar_dense.default"


def leak_by_math(m, x):
    h = m.w(x)
    return (h / math.sqrt(h.norm().item())).sum()


def leak_by_float(m, x):
    h = m.w(x)
    return (h / (2 * float(h.norm().detach()))).sum()


def leak_by_int(m, x):
    h = m.w(x)
    return (h / (1 + int(h.norm().detach()))).sum()


@pytest.mark.parametrize(
    "step", [leak_by_math, leak_by_float, leak_by_int], ids=lambda step: step.__name__
)
def test_a_number_computed_out_of_sight_is_no_constant(step):
    graph = graph_of(step)
    (leak,) = calls(graph, "scaleaudit.leaked_scalar")
    (quotient,) = calls(graph, "aten.div.Tensor")
    assert dict(quotient.arguments)["other"].node == leak.id
    reads = [graph[ref.node].op for ref in leak.refs()]
    assert reads == ["aten._local_scalar_dense.default"]


def test_the_larger_of_a_number_and_a_constant_is_the_number():
    def step(m, x):
        h = m.w(x)
        return (h / max(h.norm().item(), 1.0)).sum() + (h / min(2.0, h.norm().item())).sum()

    graph = graph_of(step)
    for quotient in calls(graph, "aten.div.Tensor"):
        source = graph[dict(quotient.arguments)["other"].node]
        assert source.op == "aten._local_scalar_dense.default"


def test_values_that_follow_from_constants_are_true():
    def step(m, x):
        for i in torch.arange(3):
            x = x + m.w(x).tanh() * i.item()
        if torch.ones(2).sum() > 5:
            raise AssertionError
        return x.sum()

    graph = graph_of(step)
    assert not graph.notes
    assert len(calls(graph, "aten.tanh.default")) == 3


def test_a_tensor_made_of_a_number_read_depends_on_it():
    def step(m, x):
        h = m.w(x)
        return (h * torch.tensor(h.norm().item())).sum()

    graph = graph_of(step)
    (made,) = calls(graph, "aten.scalar_tensor.default")
    assert graph[next(made.refs()).node].op == "aten._local_scalar_dense.default"


def test_a_size_that_depends_on_values_is_picked():
    def step(m, x):
        h = m.w(x)
        rows = (h.sum(-1) > 0).nonzero().squeeze(-1)
        return h[rows].sum() + torch.masked_select(h, h > 0).sum()

    graph = graph_of(step)
    assert all(note.kind is not NoteKind.FALLBACK for note in graph.notes)


def test_truth_values_read_may_be_counted_and_tested():
    def step(m, x):
        done = torch.ones(1, dtype=torch.bool).item()
        if done and int(done) == 1 and (x > 0).any().item() != 2:
            x = x + m.w(x).tanh()
        return x.sum()

    assert len(calls(graph_of(step), "aten.tanh.default")) == 1


def test_what_fakes_cannot_do_is_done_on_real_tensors():
    def step(m, x):
        h = m.w(x)
        return (h * float(h.detach().numpy().sum())).sum()

    graph = graph_of(step)
    assert graph.notes[0].kind is NoteKind.FALLBACK
    assert "real tensors" in graph.notes[0].message
    assert [node.op for node in graph.nodes if node.kind is NodeKind.INPUT] == ["x"]


class Checked(nn.Module):
    """Checks what it was given, as code for a compiler does."""

    def forward(self, x):
        torch._check((x.abs() < 1e9).all().item(), lambda: "too long")
        torch._check(x.shape[-1] > 1)
        return x.square()


def test_what_a_check_of_torch_promises_is_taken_for_true():
    found = captured(Checked(), torch.randn(3, 4))
    assert {note.kind for note in found.graph.notes} == {NoteKind.LOSS}
    assert torch._check_with.__module__ == "torch"


def test_a_check_of_a_plain_condition_still_fails():
    class Failing(nn.Module):
        def forward(self, x):
            torch._check(x.shape[-1] > 9, lambda: "too narrow")
            return x.square().mean()

    with pytest.raises(CaptureError, match="too narrow"):
        captured(Failing(), torch.randn(3, 4))


def by_list(m, x):
    h = m.w(x)
    lengths = torch.tensor(h.norm(dim=-1).tolist())
    return (h / lengths[:, None]).sum()


def by_nested_list(m, x):
    h = m.w(x)
    lengths = torch.tensor([[row.norm().item(), 2.0] for row in h])
    return (h / lengths[:, :1]).sum()


@pytest.mark.parametrize("step", [by_list, by_nested_list], ids=lambda step: step.__name__)
def test_a_tensor_made_of_numbers_that_were_read_keeps_their_dependence(step):
    graph = graph_of(step)
    (quotient,) = calls(graph, "aten.div.Tensor")
    above = {graph[i].op for i in ancestors(graph, (dict(quotient.arguments)["other"].node,))}
    assert {"aten._local_scalar_dense.default", "aten.linalg_vector_norm.default"} <= above


def test_a_tensor_of_numbers_computed_out_of_sight_is_no_constant():
    def step(m, x):
        h = m.w(x)
        lengths = torch.tensor([math.sqrt(n) for n in h.pow(2).sum(-1).tolist()])
        return (h / lengths[:, None]).sum() * torch.tensor([0.1234567, 7.7654321]).sum()

    graph = graph_of(step)
    (leak,) = calls(graph, "scaleaudit.leaked_scalar")
    (quotient,) = calls(graph, "aten.div.Tensor")
    assert leak.id in ancestors(graph, (dict(quotient.arguments)["other"].node,))
    (product,) = calls(graph, "aten.mul.Tensor")
    assert leak.id not in ancestors(graph, (dict(product.arguments)["other"].node,))
