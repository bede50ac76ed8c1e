"""What the backward of a custom function makes of the gradient, by numbers."""

from __future__ import annotations

import pytest
import torch

from scaleaudit.capture.backwards import LIMIT, Kind, depends, kinds_of


def function(forward, backward):
    """An autograd function of one argument that keeps it for its backward."""

    class Made(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Made.apply


def kind(forward, backward):
    run = function(forward, backward)
    found = kinds_of(lambda leaves: run(*leaves), [torch.empty(3, 4)])
    return None if found is None else found[0]


def radial_part_removed(g, x):
    u = torch.nn.functional.normalize(x, dim=-1)
    return g - (g * u).sum(-1, keepdim=True) * u


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        (torch.tanh, lambda g, x: g * (1 - x.tanh() ** 2), Kind.FORWARD),
        (torch.tanh, lambda g, x: g * (1 - x.tanh()), Kind.OWN),
        (lambda x: x.float().exp().to(x.dtype), lambda g, x: g * x.exp(), Kind.FORWARD),
        (torch.log, lambda g, x: g / x, Kind.FORWARD),
        (torch.round, lambda g, x: g, Kind.STRAIGHT),
        (torch.round, lambda g, x: g * (x.abs() < 1), Kind.OWN),
        (torch.round, lambda g, x: None, Kind.FORWARD),
        (torch.clone, lambda g, x: 0.1 * g, Kind.FORWARD),
        (torch.clone, lambda g, x: g.clamp(-1, 1), Kind.FORWARD),
        (torch.clone, lambda g, x: -g, Kind.OWN),
        (torch.clone, lambda g, x: g / x.norm(), Kind.OWN),
        (torch.clone, lambda g, x: torch.zeros_like(g), Kind.STOPPED),
        (torch.clone, radial_part_removed, Kind.ACROSS),
        (torch.ones_like, lambda g, x: torch.ones_like(g), Kind.ADDED),
        (torch.tanh, lambda g, x: g.nonsense, None),
    ],
)
def test_a_backward_is_told_for_what_it_is(forward, backward, expected):
    torch.manual_seed(1)
    assert kind(forward, backward) is expected


def test_two_arguments_are_judged_apart():
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[1], None

    found = kinds_of(lambda leaves: Scaled.apply(*leaves), [torch.empty(4), torch.empty(4)])
    assert found == {0: Kind.FORWARD, 1: Kind.STOPPED}


def test_what_is_too_large_is_not_run():
    assert kinds_of(lambda leaves: leaves[0], [torch.empty(LIMIT + 1, device="meta")]) is None


def test_a_result_that_numpy_computed_depends_on_its_argument():
    run = function(lambda x: torch.from_numpy(x.detach().numpy() * 2), lambda g, x: 2 * g)
    assert depends(lambda leaves: run(*leaves), [torch.empty(4)], 0) is True
    assert depends(lambda leaves: torch.ones(4), [torch.empty(4)], 0) is False


def test_judging_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    kind(torch.tanh, lambda g, x: g)
    assert torch.equal(torch.rand(1), expected)
