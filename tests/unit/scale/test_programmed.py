"""Positions that the program itself leaves out of a loss, by its targets or its weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Support

torch.set_num_threads(1)
BATCH, LENGTH, WIDTH, IGNORED = 2, 5, 6, -100
ALL, FIRST = (1 << LENGTH) - 1, 1

Made = Callable[[Program, Ref], Ref]


def answers(p: Program) -> Ref:
    return p.constant(torch.zeros(BATCH, LENGTH, dtype=torch.int64), known=False)


def number(p: Program, value: float, dtype: torch.dtype = torch.int64) -> Ref:
    return p.constant(torch.tensor(value, dtype=dtype))


def written(p: Program, targets: Ref) -> Ref:
    places = (("aten.slice.Tensor", (1, 1, 9), (), None),)
    value = p("aten.expand.default", number(p, IGNORED), [BATCH, LENGTH - 1])
    return p("scaleaudit.write_view", p("aten.clone.default", targets), value, places)


def prefixed(p: Program, targets: Ref) -> Ref:
    """As prompts are put before, here after, what is answered."""
    some = p("aten.slice.Tensor", targets, 1, 0, 1)
    ignored = p("aten.full.default", [BATCH, LENGTH - 1], IGNORED)
    ignored = p("aten._to_copy.default", ignored, dtype=torch.int64)
    return p("aten.cat.default", [some, ignored], 1)


def padded(p: Program, targets: Ref) -> Ref:
    some = p("aten.slice.Tensor", targets, 1, 0, 1)
    return p("aten.constant_pad_nd.default", some, [0, LENGTH - 1], IGNORED)


def sliced(p: Program, targets: Ref) -> Ref:
    """A shift: what is ignored moves by one."""
    longer = p("aten.constant_pad_nd.default", targets, [0, LENGTH - 1], IGNORED)
    return p("aten.slice.Tensor", longer, 1, LENGTH - 1, 2 * LENGTH - 1)


def support_of(p: Program, ref: Ref) -> Support:
    support = infer(p)[ref].support
    assert support is not None
    return support


def likelihood(p: Program, x: Ref, targets: Ref) -> Ref:
    log_p = p("aten._log_softmax.default", p("aten.view.default", x, [-1, WIDTH]), -1, False)
    flat = p("aten.reshape.default", targets, [-1])
    return p("aten.nll_loss_forward.default", log_p, flat, None, 1, IGNORED)


@pytest.mark.parametrize("made", [written, prefixed, padded, sliced])
def test_what_the_program_ignores_is_not_read(made: Made) -> None:
    p = Program(1)
    x = p.state(BATCH, LENGTH, WIDTH)
    support = support_of(p, likelihood(p, x, made(p, answers(p))))
    assert (support.reads[1], support.exact) == (FIRST, True)


def test_what_data_ignore_is_read_in_another_batch() -> None:
    p = Program(1)
    x = p.state(BATCH, LENGTH, WIDTH)
    support = support_of(p, likelihood(p, x, answers(p)))
    assert (support.reads[1], support.exact) == (ALL, True)


def test_targets_of_images_leave_out_their_own_axis() -> None:
    p = Program(1)
    x = p("aten.permute.default", p.state(BATCH, LENGTH, WIDTH), [0, 2, 1])
    log_p = p("aten._log_softmax.default", p("aten.unsqueeze.default", x, 2), 1, False)
    targets = p("aten.unsqueeze.default", written(p, answers(p)), 1)
    loss = p("aten.nll_loss2d_forward.default", log_p, targets, None, 0, IGNORED)
    assert support_of(p, loss).reads[1] == FIRST


def test_it_is_not_told_whose_targets_are_ignored_where_axes_are_lost() -> None:
    p = Program(1)
    x = p("aten.roll.default", p.state(BATCH, LENGTH, WIDTH), [1], [1])
    assert not support_of(p, likelihood(p, x, written(p, answers(p)))).exact
    p = Program(1)
    x = p("aten.roll.default", p.state(BATCH, LENGTH, WIDTH), [1], [1])
    assert support_of(p, likelihood(p, x, answers(p))).exact


def one_hot(p: Program) -> Ref:
    place = (("aten.select.int", (0, 0), (), None),)
    zeros = p("aten.zeros.default", [LENGTH])
    return p("scaleaudit.write_view", zeros, number(p, 1.0, torch.float64), place)


def counted(p: Program) -> Ref:
    return p("aten.lt.Scalar", p("aten.arange.default", LENGTH), 1)


@pytest.mark.parametrize("weights", [one_hot, counted])
def test_what_the_program_weighs_with_zero_is_not_read(weights: Callable[[Program], Ref]) -> None:
    p = Program(1)
    x = p.state(BATCH, LENGTH, WIDTH)
    column = p("aten.unsqueeze.default", weights(p), -1)
    support = support_of(p, p("aten.mul.Tensor", x, column))
    assert (support.reads, support.exact) == ((0b11, FIRST, 0b111111), True)


def test_weights_that_are_data_leave_nothing_out() -> None:
    p = Program(1)
    x = p.state(BATCH, LENGTH, WIDTH)
    mask = p.constant(torch.tensor([1.0, 0.0] * 3, dtype=torch.float64), known=False)
    assert support_of(p, p("aten.mul.Tensor", x, mask)).reads[2] == 0b111111
