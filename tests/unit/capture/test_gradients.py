"""What autograd records is visible: no_grad, detach, checkpointing, custom functions."""

from __future__ import annotations

import pytest
import torch
from capture_support import calls, captured, ops
from torch import nn
from torch.utils.checkpoint import checkpoint

from scaleaudit.domain.graph import NoteKind

D = 8


class Model(nn.Module):
    def __init__(self, step) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)
        self.step = step

    def forward(self, x):
        return self.step(self, x)


def graph_of(step):
    return captured(Model(step), torch.randn(3, D, requires_grad=True)).graph


def grads(step, op="aten.tanh.default"):
    return [node.grad for node in calls(graph_of(step), op)]


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.tanh() * 2

    @staticmethod
    def backward(ctx, grad):
        return grad


def test_no_grad_shows_on_every_operator_inside():
    def step(m, x):
        for turn in range(3):
            with torch.set_grad_enabled(turn == 2):
                x = m.w(x).tanh()
        return x.sum()

    assert grads(step) == [False, False, True]


def test_turns_with_and_without_gradient_share_their_sites():
    def step(m, x):
        for turn in range(3):
            with torch.set_grad_enabled(turn == 2):
                x = m.w(x).tanh()
        return x.sum()

    assert len({node.site for node in calls(graph_of(step), "aten.tanh.default")}) == 1


def test_functions_decorated_with_no_grad_show_it():
    @torch.no_grad()
    def helper(x):
        return x.tanh()

    assert grads(lambda m, x: m.w(x).sum() + helper(x).sum()) == [False]


def test_inference_mode_shows_as_no_gradient():
    def step(m, x):
        with torch.inference_mode():
            x.detach().tanh()
        return m.w(x).tanh().sum()

    assert grads(step) == [False, True]


def test_detach_and_data_show_as_detach_and_autograds_own_do_not():
    def step(m, x):
        h = m.w(x).tanh()
        return h.sum() + h.detach().mean() + h.data.mean()

    graph = graph_of(step)
    found = calls(graph, "aten.detach.default")
    assert len(found) == 2
    assert all(graph.users[node.id] for node in found)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_block_is_recorded_once_with_its_gradient(reentrant):
    def step(m, x):
        return checkpoint(lambda h: m.w(h).tanh(), x, use_reentrant=reentrant).sum()

    graph = graph_of(step)
    assert [node.grad for node in calls(graph, "aten.tanh.default")] == [True]
    assert not graph.notes


def test_no_grad_inside_a_checkpointed_block_counts():
    def step(m, x):
        def block(h):
            with torch.no_grad():
                h = m.w(h).tanh()
            return m.w(h).tanh()

        return checkpoint(block, x, use_reentrant=True).sum()

    assert grads(step) == [False, True]


def test_a_checkpoint_under_no_grad_has_no_gradient():
    def step(m, x):
        with torch.no_grad():
            h = checkpoint(lambda h: m.w(h).tanh(), x, use_reentrant=True)
        return m.w(h).sum()

    assert grads(step) == [False]


def test_a_custom_function_has_the_gradient_of_its_surroundings_and_a_note():
    graph = graph_of(lambda m, x: Doubled.apply(m.w(x)).sum())
    assert [node.grad for node in calls(graph, "aten.tanh.default")] == [True]
    (note,) = graph.notes
    assert note.kind is NoteKind.GRADIENT
    assert "Doubled" in note.message


def test_gradients_taken_in_the_forward_are_recorded():
    def step(m, x):
        h = m.w(x).tanh()
        (slope,) = torch.autograd.grad(h.sum(), m.w.weight, create_graph=True)
        return slope.square().sum()

    assert "aten.tanh_backward.default" in ops(graph_of(step))


def test_gradients_that_nobody_asked_for_are_no_outputs():
    def step(m, x):
        y = nn.functional.layer_norm(m.w(x), (D,))
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return slope.sum()

    graph = graph_of(step)
    (backward,) = (n for n in graph.nodes if n.base_op == "aten.native_layer_norm_backward")
    assert len(backward.outputs) == 1


def test_inference_mode_turns_gradients_off_and_changes_no_operator():
    def step(m, x):
        with torch.inference_mode():
            x = m.w(x).tanh()
        with torch.inference_mode(mode=False):
            x = m.w(x).tanh()
        return thinking(m, x).tanh().sum()

    @torch.inference_mode()
    def thinking(m, x):
        return m.w(x).tanh()

    enter = torch.inference_mode.__enter__
    graph = graph_of(step)
    assert [node.grad for node in calls(graph, "aten.tanh.default")] == [False, True, False, True]
    assert "aten.linear.default" not in ops(graph)
    assert torch.inference_mode.__enter__ is enter
