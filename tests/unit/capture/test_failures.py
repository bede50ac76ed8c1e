"""What cannot be captured is explained, at the user's line."""

from __future__ import annotations

import sys

import pytest
import torch
from capture_support import captured
from torch import nn

from scaleaudit.errors import CaptureError

D = 8


class Failing(nn.Module):
    def __init__(self, step) -> None:
        super().__init__()
        self.w = nn.Linear(D, D)
        self.step = step

    def forward(self, x):
        return self.step(self, x)


def failure_of(step, **named):
    with pytest.raises(CaptureError) as caught:
        captured(Failing(step), torch.randn(3, D), **named)
    return caught.value


def wrong_shape(m, x):
    return m.w(x[:, :3]).sum()


def own_error(m, x):
    raise ValueError("no such mode")


def leaves_the_program(m, x):
    sys.exit(3)


def calls_itself(m, x):
    return calls_itself(m, x)


FAILURES = [
    (wrong_shape, "RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x3 and 8x8)"),
    (own_error, "ValueError: no such mode"),
    (leaves_the_program, "SystemExit: 3"),
    (calls_itself, "RecursionError: maximum recursion depth exceeded"),
]


@pytest.mark.parametrize(("step", "message"), FAILURES, ids=lambda value: str(value)[:24])
def test_an_error_in_the_forward_is_told_with_its_line(step, message):
    error = failure_of(step)
    assert error.message == f"the forward failed: {message}"
    line = step.__code__.co_firstlineno + 1
    assert error.where == f"{__file__}:{line}"
    assert error.hint


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda m, x: {"a": m(x).sum()}, "the loss returned a dict with the keys a, not a scalar"),
        (lambda m, x: None, "the loss returned None, not a scalar"),
        (lambda m, x: (m(x), 1), "the loss returned a tuple of 2, not a scalar"),
        (lambda m, x: m(x), "the loss has shape (3, 8) and type torch.float32, it is no scalar"),
        (lambda m, x: m(x).argmax(), "the loss has shape () and type torch.int64"),
    ],
)
def test_a_loss_that_is_no_scalar_is_told(loss, message):
    error = failure_of(lambda m, x: m.w(x), loss=loss)
    assert error.message.startswith(message)
    assert error.hint
