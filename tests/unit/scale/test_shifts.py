"""What a softmax does not see: logits are moved together, and numbers tell what is left of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.agreement import judge_value
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.scale import Degree, Growth, Scale
from scaleaudit.scale import judge

torch.set_num_threads(1)
ROWS, CLASSES, WIDTH = 10, 14, 16
Make = Callable[[Program, Ref], Ref]


def classes(p: Program) -> Ref:
    return p.parameter(CLASSES, WIDTH)


def apart(p: Program, h: Ref) -> Ref:
    """Every state less every class."""
    return p("aten.sub.Tensor", p("aten.unsqueeze.default", h, -2), classes(p))


def squares(p: Program, h: Ref) -> Ref:
    return p("aten.square.default", apart(p, h))


def distances(p: Program, h: Ref) -> Ref:
    return p("aten.sum.dim_IntList", squares(p, h), [-1])


def summed(op: str) -> Make:
    def make(p: Program, h: Ref) -> Ref:
        return p("aten.sum.dim_IntList", p(op, apart(p, h)), [-1])

    return make


def sum_of_squares(p: Program, x: Ref) -> Ref:
    return p("aten.sum.dim_IntList", p("aten.square.default", x), [-1], True)


def written_out(p: Program, h: Ref) -> Ref:
    all_of_them = classes(p)
    theirs = p("aten.t.default", sum_of_squares(p, all_of_them))
    both = p("aten.addmm.default", theirs, h, p("aten.t.default", all_of_them), alpha=-2.0)
    return p("aten.add.Tensor", both, sum_of_squares(p, h))


def cdist(p: Program, h: Ref, power: float = 2.0) -> Ref:
    return p("aten._cdist_forward.default", h, classes(p), power, None)


def rooted(p: Program, h: Ref) -> Ref:
    floored = p("aten.clamp_min.default", distances(p, h), 1e-6)
    return p("aten.sqrt.default", floored)


def one_by_one(p: Program, h: Ref) -> Ref:
    pieces = []
    for _ in range(CLASSES):
        difference = p("aten.sub.Tensor", h, p.parameter(WIDTH))
        norm = p("aten.linalg_vector_norm.default", difference, 2, [-1])
        pieces.append(p("aten.unsqueeze.default", norm, -1))
    return p("aten.cat.default", pieces, -1)


def linear(p: Program, h: Ref) -> Ref:
    return p("aten.linear.default", h, classes(p), p.parameter(CLASSES))


def normed(p: Program, h: Ref) -> Ref:
    norm = p("aten.linalg_vector_norm.default", h, 2, [-1], True)
    return linear(p, p("aten.div.Tensor", h, norm))


def moved(logits: Make, op: str = "aten.add.Tensor") -> Make:
    def make(p: Program, h: Ref) -> Ref:
        shift = p("aten.linear.default", h, p.parameter(1, WIDTH))
        return p(op, logits(p, h), shift)

    return make


def masked(p: Program, h: Ref) -> Ref:
    mask = p.constant(torch.arange(CLASSES) % 3 == 0)
    return p("aten.masked_fill.Scalar", distances(p, h), mask, float("-inf"))


def filled(p: Program, h: Ref) -> Ref:
    mask = p.constant(torch.arange(CLASSES) % 3 == 0)
    return p("aten.masked_fill.Scalar", p("aten.neg.default", distances(p, h)), mask, -1e9)


def picked(p: Program, h: Ref) -> Ref:
    return p("aten.topk.default", distances(p, h), CLASSES - 1, -1)


def of_widths(p: Program, h: Ref) -> Ref:
    widths = p("aten.exp.default", p.parameter(CLASSES, WIDTH))
    by = p("aten.div.Tensor", squares(p, h), widths)
    return p("aten.sum.dim_IntList", by, [-1])


def of_one_width(p: Program, h: Ref) -> Ref:
    ones = p.constant(torch.ones(CLASSES, WIDTH, dtype=torch.float64))
    by = p("aten.mul.Tensor", squares(p, h), ones)
    return p("aten.sum.dim_IntList", by, [-1])


def merged(p: Program, h: Ref) -> Ref:
    two = p("aten.view.default", classes(p), [2, CLASSES // 2, WIDTH])
    wide = p("aten.view.default", h, [ROWS, 1, 1, WIDTH])
    squared = p("aten.square.default", p("aten.sub.Tensor", wide, two))
    found = p("aten.sum.dim_IntList", squared, [-1])
    return p("aten.view.default", found, [ROWS, CLASSES])


def turned(p: Program, h: Ref) -> Ref:
    """Classes first, then turned around and flattened to rows again."""
    other = p("aten.permute.default", cdist(p, h), [1, 0])
    whole = p("aten.square.default", p("aten.permute.default", other, [1, 0]))
    rows = p("aten.view.default", whole, [2, ROWS // 2, CLASSES])
    return p("aten.view.default", rows, [ROWS, CLASSES])


def larger(p: Program, h: Ref) -> Ref:
    """A function of two values that is not followed."""
    ones = p.constant(torch.ones(CLASSES, WIDTH, dtype=torch.float64))
    return p("aten.sum.dim_IntList", p("aten.maximum.default", squares(p, h), ones), [-1])


# Logits, and what a softmax sees of them: their degree; None where it is not told.
LOGITS: dict[str, tuple[Make, int | None]] = {
    "squares": (distances, 1),
    "written out": (written_out, 1),
    "squared cdist": (lambda p, h: p("aten.pow.Tensor_Scalar", cdist(p, h), 2), 1),
    "cdist": (cdist, 0),
    "city block cdist": (lambda p, h: cdist(p, h, 1.0), 0),
    "city block": (summed("aten.abs.default"), 0),
    "relu": (summed("aten.relu.default"), 0),
    "gelu": (summed("aten.gelu.default"), 0),
    "cubes": (lambda p, h: p("aten.pow.Tensor_Scalar", cdist(p, h), 3), 2),
    "rooted": (rooted, 0),
    "one by one": (one_by_one, 0),
    "linear": (linear, 1),
    "linear, moved": (moved(linear), 1),
    "normed, moved": (moved(normed), 0),
    "normed, moved the other way": (moved(normed, "aten.sub.Tensor"), 0),
    "normed, stretched": (moved(normed, "aten.mul.Tensor"), 1),
    "masked": (masked, 1),
    "filled": (filled, None),
    "picked": (picked, 1),
    "of widths": (of_widths, 2),
    "of one width": (of_one_width, 1),
    "merged": (merged, None),
    "turned": (turned, 1),
    "larger": (larger, None),
}


def compared(p: Program, out: Ref) -> Scale:
    """The scale of a value, which numbers agree with."""
    scale = infer(p)[out]
    assert not judge_value(scale, p.samples((out,))[out]).complaints
    return scale


def check(scale: Scale, degree: int | None) -> None:
    if degree is None:
        assert judge.visibility(scale) is Visibility.UNKNOWN
    else:
        assert scale.growth.hi == Degree(degree)
        assert (judge.visibility(scale) is Visibility.VISIBLE) == (degree > 0)


@pytest.mark.parametrize("name", LOGITS)
def test_a_likelihood_has_the_degree_of_what_differs(name: str) -> None:
    make, degree = LOGITS[name]
    p = Program(5)
    logits = make(p, p.state(ROWS, WIDTH))
    check(compared(p, p("aten._log_softmax.default", logits, -1, False)), degree)


@pytest.mark.parametrize("name", ["normed, moved", "cdist", "one by one"])
def test_a_softmax_of_what_differs_no_further_is_not_saturating(name: str) -> None:
    p = Program(6)
    logits = LOGITS[name][0](p, p.state(ROWS, WIDTH))
    scale = compared(p, p("aten._softmax.default", logits, -1, False))
    assert judge.visibility(scale) in (Visibility.INVARIANT, Visibility.ASYMPTOTIC)


def less_logsumexp(p: Program, x: Ref) -> Ref:
    return p("aten.sub.Tensor", x, p("aten.logsumexp.default", x, [-1], True))


def logsumexp_less_picked(p: Program, x: Ref) -> Ref:
    index = p.constant(torch.arange(ROWS).unsqueeze(-1) % CLASSES)
    found = p("aten.squeeze.dim", p("aten.gather.default", x, -1, index), -1)
    return p("aten.sub.Tensor", p("aten.logsumexp.default", x, [-1]), found)


def less_largest(p: Program, x: Ref) -> Ref:
    return p("aten.sub.Tensor", x, p("aten.amax.default", x, [-1], True))


def less_mean(p: Program, x: Ref) -> Ref:
    return p("aten.sub.Tensor", x, p("aten.mean.dim", x, [-1], True))


def twice(p: Program, x: Ref) -> Ref:
    return less_logsumexp(p, less_largest(p, x))


def variance(p: Program, x: Ref) -> Ref:
    return p("aten.std.correction", x, [-1])


@pytest.mark.parametrize(
    "made",
    [less_logsumexp, logsumexp_less_picked, less_largest, less_mean, twice, variance],
)
@pytest.mark.parametrize("name", ["squares", "linear", "normed, moved", "cdist", "larger"])
def test_differences_have_the_degree_of_what_differs(
    name: str, made: Callable[[Program, Ref], Ref]
) -> None:
    make, degree = LOGITS[name]
    p = Program(7)
    check(compared(p, made(p, make(p, p.state(ROWS, WIDTH)))), degree)


def test_what_is_taken_from_other_rows_is_no_shift() -> None:
    """The largest of every row, from every column."""
    p = Program(8)
    h = p.state(ROWS, WIDTH)
    logits = moved(lambda p, h: p("aten.linear.default", h, p.parameter(ROWS, WIDTH)))(p, h)
    scores = p("aten.add.Tensor", logits, p("aten.linear.default", h, p.parameter(1, WIDTH)))
    out = p("aten.sub.Tensor", scores, p("aten.amax.default", scores, [-1]))
    assert compared(p, out).growth.hi == Degree(1)


def test_a_shift_along_another_dim_is_seen() -> None:
    p = Program(9)
    logits = moved(normed)(p, p.state(ROWS, WIDTH))
    scale = compared(p, p("aten._log_softmax.default", logits, 0, False))
    assert scale.growth.hi == Degree(1)


@pytest.mark.parametrize("beside", [False, True])
def test_all_of_it_in_common_leaves_nothing(*, beside: bool) -> None:
    p = Program(10)
    h = p.state(ROWS, WIDTH)
    shift = p("aten.linear.default", h, p.parameter(1, WIDTH))
    same = p("aten.expand.default", shift, [ROWS, CLASSES])
    logits = p("aten.add.Tensor", same, p.parameter(CLASSES)) if beside else same
    scale = compared(p, p("aten._log_softmax.default", logits, -1, False))
    assert scale.growth == Growth(depends=False)
