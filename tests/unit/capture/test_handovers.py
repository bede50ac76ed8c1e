"""States that the caller carries: told by structure, by use, by dependence, never by a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from capture_support import captured
from torch import Tensor, nn

D = 8


class Pair(NamedTuple):
    slow: Tensor
    fast: Tensor


@dataclass
class Memory:
    h: Tensor
    steps: Tensor


class Step(nn.Module):
    """One step of a recurrence; what it is given and returns is the caller's affair."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(D, D), nn.Linear(D, 3)
        self.run = forward

    def forward(self, x, state=None):
        return self.run(self, x, state)


def next_of(m, x, h):
    return h + m.cell(torch.tanh(h) + x)


def plain(m, x, h):
    h = next_of(m, x, h)
    return m.head(h), h


def detached(m, x, h):
    h = next_of(m, x, h)
    return m.head(torch.tanh(h)), h.detach()


def dataclass_step(m, x, memory):
    h = next_of(m, x, memory.h)
    return m.head(h), Memory(h.detach(), memory.steps + 1)


def named(m, x, pair):
    fast = next_of(m, x, pair.fast)
    return m.head(fast), Pair(pair.slow + m.cell(fast), fast)


def optional(m, x, h):
    return plain(m, x, torch.zeros_like(x) if h is None else h)


def zeros():
    return torch.zeros(2, D)


RECURRENT = {
    "zeros": (plain, zeros()),
    "detached": (detached, torch.randn(2, D)),
    "dataclass": (dataclass_step, Memory(torch.randn(2, D), torch.zeros((), dtype=torch.int64))),
    "named tuple": (named, Pair(torch.randn(2, D), torch.randn(2, D))),
    "left out": (optional, None),
}


def uses_of_the_cell(graph) -> int:
    return sum(n.op in ("aten.addmm.default", "aten.mm.default") for n in graph.nodes)


@pytest.mark.parametrize("kind", RECURRENT)
def test_what_comes_back_is_handed_to_the_next_call(kind):
    forward, state = RECURRENT[kind]
    given = (torch.randn(2, D),) if state is None else (torch.randn(2, D), state)
    graph = captured(Step(forward), *given).graph
    assert [note.message for note in graph.notes if "is called 4 times" in note.message]
    assert uses_of_the_cell(graph) >= 4


def test_the_handed_state_is_no_output_of_its_own():
    graph = captured(Step(plain), torch.randn(2, D), zeros()).graph
    assert {name.split(" ")[0] for name, _ in graph.outputs} == {"output[0]"}


def test_losses_of_all_calls_are_added():
    def loss(m, x, h):
        return m(x, h)[0].square().mean()

    graph = captured(Step(plain), torch.randn(2, D), zeros(), loss=loss).graph
    assert graph[graph.loss.node].op == "aten.add.Tensor"
    assert sum(node.op == "aten.mean.default" for node in graph.nodes) == 4


def encoder(m, x, y):
    memory = m.cell(x)
    return memory, m.head(m.cell(y) + memory)


def streams(m, x, y):
    return x + m.cell(y), y + m.cell(x)


def denoiser(m, x, t):
    return x - m.cell(x * t)


def masked(m, x, mask):
    return m.cell(x if mask is None else x * mask), m.head(x)


def test_a_state_that_starts_anywhere_is_an_open_question():
    graph = captured(Step(plain), torch.randn(2, D), torch.randn(2, D)).graph
    assert [note for note in graph.notes if "comes back in the same form" in note.message]
    assert uses_of_the_cell(graph) == 2  # the cell and the head, once


ONCE = {
    "a memory of one input alone": (encoder, torch.randn(2, D)),
    "two streams": (streams, torch.randn(2, D)),
    "a single output": (denoiser, torch.randn(2, D)),
    "an optional factor": (masked, None),
}


@pytest.mark.parametrize("kind", ONCE)
def test_same_shapes_alone_make_no_recurrence(kind):
    forward, second = ONCE[kind]
    given = (torch.randn(2, D),) if second is None else (torch.randn(2, D), second)
    graph = captured(Step(forward), *given).graph
    assert not [note for note in graph.notes if "is called" in note.message]
