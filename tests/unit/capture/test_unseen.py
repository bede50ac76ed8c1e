"""What is written out of torch's sight: kernels that are launched by themselves, filled memory."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

import pytest
import torch
from capture_support import captured, target_of
from torch import nn

from scaleaudit.capture.capturing import capture_by
from scaleaudit.domain.attempts import Attempt
from scaleaudit.domain.facts import Transition, Visibility
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse


def copied(target, source):
    """Write as compiled code does that is handed two addresses."""
    source = source.contiguous()
    ctypes.memmove(target.data_ptr(), source.data_ptr(), source.numel() * source.element_size())
    return target


def normed(x):
    return x / x.pow(2).mean(-1, keepdim=True).sqrt()


def filled_unseen(x):
    return copied(torch.empty_like(x), normed(x))


def filled_unseen_by_shape(x):
    return copied(torch.empty(x.shape), normed(x))


def filled_unseen_and_viewed(x):
    return copied(torch.empty(x.shape[0], x.shape[1]), normed(x)).view(x.shape).mul(2)


class Filled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return copied(torch.empty_like(x), normed(x))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g / x.pow(2).mean(-1, keepdim=True).sqrt()


class FilledBeside(Filled):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return copied(torch.empty_like(x), normed(x)) + 0.1 * normed(x)


class Looped(nn.Module):
    def __init__(self, between, before_head):
        super().__init__()
        self.between, self.before_head = between, before_head
        self.inner = nn.Linear(8, 8)
        self.norm = nn.RMSNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        h = x
        for _ in range(4):
            h = self.between(h + self.inner(self.norm(h)))
        return self.head(self.before_head(h)).square().mean()


def same(x):
    return x


def states_of(model, attempt):
    x = torch.randn(3, 8)
    graph = capture_by(attempt, target_of(model, x, loss=lambda m, x: m(x))).graph
    (loop,) = analyse(graph, find_loops(graph)).loops
    return loop.states


def state_of(model, attempt):
    (state,) = states_of(model, attempt)
    return state


@pytest.mark.parametrize(
    "fill", [filled_unseen, filled_unseen_by_shape, filled_unseen_and_viewed, Filled.apply,
             FilledBeside.apply]
)  # fmt: skip
def test_memory_that_was_filled_unseen_is_unknown(fill):
    assert state_of(Looped(same, fill), Attempt.REAL).visibility is Visibility.UNKNOWN
    states = states_of(Looped(fill, nn.RMSNorm(8)), Attempt.REAL)
    assert {state.transition for state in states} == {Transition.UNKNOWN}


def written_in_full(x):
    y = torch.empty_like(x)
    y.copy_(x)
    return y


def written_in_parts(x):
    y = x.new_empty(x.shape)
    y[:, :4] = x[:, :4]
    y[:, 4:] = x[:, 4:]
    return y


def joined_to_nothing(x):
    return torch.cat([x, x.new_empty(3, 0)], dim=1)


def drawn(x):
    return x + 0.0 * torch.empty_like(x).normal_()


@pytest.mark.parametrize("fill", [written_in_full, written_in_parts, joined_to_nothing, drawn])
@pytest.mark.parametrize("attempt", [Attempt.BUILT_REAL, Attempt.REAL])
def test_memory_that_was_filled_in_sight_holds_what_was_written(fill, attempt):
    state = state_of(Looped(fill, fill), attempt)
    assert state.visibility is Visibility.VISIBLE
    assert state.transition is not Transition.UNKNOWN


class _Kernel:
    """Stands for a kernel of Triton, as far as launching goes."""

    def __init__(self, fn):
        self.fn = fn

    def __getitem__(self, grid):
        return lambda *args, **kwargs: self.run(*args, grid=grid, warmup=False, **kwargs)

    def run(self, *args, **kwargs):
        raise NotImplementedError


class _Jitted(_Kernel):
    def run(self, *args, **kwargs):
        raise RuntimeError("0 active drivers")


class _Tuned(_Kernel):
    def run(self, *args, **kwargs):
        raise RuntimeError("0 active drivers")


def rms_kernel(x, y, n):
    """Never runs."""


KERNELS = [_Jitted(rms_kernel), _Tuned(_Jitted(rms_kernel))]


def function_around(kernel):
    class Launched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            y = torch.empty_like(x)
            kernel[x.shape[0],](x, y, n=x.shape[-1])
            return y

        @staticmethod
        def backward(ctx, g):
            return g / ctx.saved_tensors[0].pow(2).mean(-1, keepdim=True).sqrt()

    return Launched.apply


def in_place_by(kernel):
    def launched(x):
        y = x * 1
        kernel[1,](y, y, n=1)
        return y

    return launched


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("around", [function_around, in_place_by])
def test_a_kernel_that_is_launched_is_unknown_at_its_line(kernel, around, monkeypatch):
    module = ModuleType("triton.runtime.jit")
    module.KernelInterface = _Kernel
    module.__file__ = "/nowhere/triton/runtime/jit.py"
    monkeypatch.setitem(sys.modules, "triton.runtime.jit", module)
    launch = _Jitted.run
    state = state_of(Looped(same, around(kernel)), Attempt.BUILT_REAL)
    assert state.visibility is Visibility.UNKNOWN
    (opaque,) = {opaque for readout in state.readouts for opaque in readout.opaque}
    assert opaque.operator == "triton.kernel.rms_kernel"
    assert opaque.location.path == __file__
    assert _Jitted.run is launch


def test_a_graph_with_an_unseen_write_says_that_it_cannot_run():
    found = captured(nn.Linear(8, 8), torch.randn(3, 8))
    assert not any("unseen" in node.op for node in found.graph.nodes)
    found = capture_by(Attempt.REAL, target_of(Looped(same, filled_unseen), torch.randn(3, 8)))
    assert [node.op for node in found.graph.nodes if "unseen" in node.op]
