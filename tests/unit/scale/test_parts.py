"""Values joined from raw and normed elements, followed part by part."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lawkit.inferring import infer
from lawkit.programs import Program

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.graph import Ref
from scaleaudit.scale import judge

torch.set_num_threads(1)
LENGTH, WIDTH = 5, 6
ALL, FIRST = (1 << LENGTH) - 1, 1
REST = ALL & ~FIRST

Step = Callable[[Program, Ref], Ref]


def found(p: Program, ref: Ref) -> dict[int, tuple[str, bool]]:
    """What is seen of the positions that each part reads, and whether that is told."""
    parts = infer(p).parts_of(ref).values()
    return {
        part.support.reads[1]: (judge.visibility(part).value, part.support.exact)
        for part in parts
        if part.support is not None
    }


def sliced(p: Program, x: Ref, start: int, stop: int) -> Ref:
    return p("aten.slice.Tensor", x, 1, start, stop)


def normed(p: Program, x: Ref) -> Ref:
    size = p("aten.linalg_vector_norm.default", x, 2, [-1], True)
    return p("aten.div.Tensor", x, size)


def side_by_side(p: Program, x: Ref) -> Ref:
    return p("aten.cat.default", [sliced(p, x, 0, 1), normed(p, sliced(p, x, 1, LENGTH))], 1)


def written_over(p: Program, x: Ref) -> Ref:
    rest = (("aten.slice.Tensor", (1, 1, LENGTH), (), None),)
    return p("scaleaudit.write_view", x, normed(p, sliced(p, x, 1, LENGTH)), rest)


def selected(p: Program, x: Ref) -> Ref:
    """The first token is raw: a selection drops its dim."""
    first = p("aten.select.int", x, 1, 0)
    place = (("aten.slice.Tensor", (0, 0, 9), (), None), ("aten.select.int", (1, 0), (), None))
    return p("scaleaudit.write_view", normed(p, x), first, place)


def stacked(p: Program, x: Ref) -> Ref:
    first, *rest = (p("aten.select.int", x, 1, place) for place in range(LENGTH))
    return p("aten.stack.default", [first, *(normed(p, each) for each in rest)], 1)


RAW, BLIND = ("visible", True), ("invariant", True)


@pytest.mark.parametrize("join", [side_by_side, written_over, stacked])
def test_a_join_keeps_apart_what_reads_which_positions(join: Step) -> None:
    p = Program(1)
    assert found(p, join(p, p.state(2, LENGTH, WIDTH))) == {FIRST: RAW, REST: BLIND}


def test_what_is_written_over_is_read_no_more() -> None:
    p = Program(1)
    assert found(p, selected(p, p.state(2, LENGTH, WIDTH))) == {FIRST: RAW, REST: BLIND}


def test_parts_last_through_a_head_and_a_loss() -> None:
    p = Program(1)
    y = side_by_side(p, p.state(2, LENGTH, WIDTH))
    rows = p("aten.view.default", y, [2 * LENGTH, WIDTH])
    logits = p("aten.addmm.default", p.parameter(4), rows, p.parameter(WIDTH, 4))
    log_p = p("aten._log_softmax.default", logits, -1, False)
    targets = p.constant(torch.zeros(2 * LENGTH, dtype=torch.int64), known=False)
    loss = p("aten.nll_loss_forward.default", log_p, targets, None, 1, -100)
    assert found(p, loss) == {FIRST: RAW, REST: BLIND}


def test_a_slice_of_what_is_joined_reads_its_own_positions() -> None:
    p = Program(1)
    y = side_by_side(p, p.state(2, LENGTH, WIDTH))
    assert found(p, sliced(p, y, 0, 3)) == {FIRST: RAW, 0b110: BLIND}


def test_a_skip_from_the_state_shows_all_positions() -> None:
    p = Program(1)
    x = p.state(2, LENGTH, WIDTH)
    assert set(found(p, p("aten.add.Tensor", side_by_side(p, x), x)).values()) == {RAW}


def test_a_choice_by_a_mask_does_not_tell_the_positions() -> None:
    p = Program(1)
    x = p.state(2, LENGTH, WIDTH)
    mask = p.constant(torch.tensor([True, False] * 3), known=False)
    chosen = p("aten.where.self", mask, x, normed(p, x))
    parts = infer(p).parts_of(chosen).values()
    assert {judge.visibility(part) for part in parts} == {
        Visibility.VISIBLE,
        Visibility.INVARIANT,
    }
    assert not any(part.support.exact for part in parts if part.support)


def test_a_choice_by_places_of_the_program_tells_them() -> None:
    p = Program(1)
    x = p.state(2, LENGTH, WIDTH)
    is_first = p("aten.eq.Scalar", p("aten.arange.default", LENGTH), 0)
    chosen = p("aten.where.self", p("aten.unsqueeze.default", is_first, -1), x, normed(p, x))
    assert found(p, chosen) == {FIRST: RAW, REST: BLIND}


def test_what_is_seen_alike_needs_no_parts() -> None:
    p = Program(1)
    x = p.state(2, LENGTH, WIDTH)
    halves = [sliced(p, x, 0, 2), sliced(p, x, 2, LENGTH)]
    swapped = p("aten.cat.default", halves[::-1], 1)
    beside = p("aten.cat.default", [p.parameter(2, 1, WIDTH), x], 1)
    whole = p("aten.cat.default", [x, normed(p, x)], -1)
    table = infer(p)
    assert not any(table.parts_of(ref) for ref in (swapped, beside, whole))


def test_joins_in_other_places_are_not_told_apart() -> None:
    p = Program(1)
    x = p.state(2, LENGTH, WIDTH)
    other = p("aten.cat.default", [sliced(p, x, 0, 3), normed(p, sliced(p, x, 3, LENGTH))], 1)
    both = p("aten.add.Tensor", side_by_side(p, x), other)
    parts = infer(p).parts_of(both).values()
    assert parts
    assert not any(part.support.exact for part in parts if part.support)


def test_a_view_that_is_undone_keeps_the_axes() -> None:
    p = Program(1)
    rows = p("aten.view.default", p.state(2, LENGTH, WIDTH), [2 * LENGTH, WIDTH])
    logits = p("aten.addmm.default", p.parameter(4), rows, p.parameter(WIDTH, 4))
    back = p("aten.view.default", logits, [2, LENGTH, 4])
    last = sliced(p, back, LENGTH - 1, LENGTH)
    row = p("aten.slice.Tensor", logits, 0, 0, 1)
    table = infer(p)
    support, blurred = table[last].support, table[row].support
    assert support is not None
    assert support.reads[1] == 1 << (LENGTH - 1)
    assert support.exact
    assert blurred is not None
    assert not blurred.exact


def test_a_piece_of_a_view_that_mixes_axes_is_not_told() -> None:
    p = Program(1)
    mixed = p("aten.view.default", p.state(2, LENGTH, WIDTH), [2, WIDTH, LENGTH])
    first = sliced(p, mixed, 0, 1)
    support = infer(p)[first].support
    assert support is not None
    assert not support.exact
