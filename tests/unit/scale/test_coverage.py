"""Visibility is judged where a state is read least."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaleaudit.domain.facts import Visibility
from scaleaudit.domain.scale import LINEAR, Scale, Support
from scaleaudit.scale.algebra import merge_support
from scaleaudit.scale.coverage import Axes, Reads, judged_where_least

AXES = Axes.of(3)
EVERYTHING = Reads((0b11, 0b1111_1111, 0b1111))
FIRST_TOKEN = Reads((0b11, 0b1, 0b1111))
LAST_TOKEN = Reads((0b11, 0b1000_0000, 0b1111))
ALL_BUT_LAST = Reads((0b11, 0b0111_1111, 0b1111))
ONE_FEATURE = Reads((0b11, 0b1111_1111, 0b1))
ONE_EXAMPLE = Reads((0b1, 0b1111_1111, 0b1111))
UNTOLD = Reads(None)

SEEN, BLIND = Visibility.VISIBLE, Visibility.INVARIANT


def test_axes_are_batch_positions_features() -> None:
    assert Axes.of(4) == Axes(positions=(1, 2), features=3)
    assert Axes.of(2) == Axes(positions=(), features=1)


def test_a_loop_that_convolves_has_features_first() -> None:
    assert Axes.of(4, convolved=True) == Axes(positions=(2, 3), features=1)
    assert Axes.of(2, convolved=True) == Axes.of(2)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (EVERYTHING, SEEN),
        (ALL_BUT_LAST, SEEN),  # a shift by one token
        (ONE_EXAMPLE, SEEN),
        (FIRST_TOKEN, BLIND),
        (LAST_TOKEN, BLIND),
        (ONE_FEATURE, BLIND),
        (UNTOLD, Visibility.UNKNOWN),
    ],
)
def test_a_raw_readout_of_a_part_leaves_the_rest_to_the_normed_one(
    raw: Reads, answer: Visibility
) -> None:
    assert judged_where_least([(SEEN, raw), (BLIND, EVERYTHING)], [], AXES) is answer


def test_a_raw_readout_of_a_part_is_seen_where_nothing_else_is_read() -> None:
    assert judged_where_least([(SEEN, LAST_TOKEN)], [], AXES) is SEEN


def test_a_normed_readout_of_one_position_leaves_the_others_raw() -> None:
    but_the_first = Reads((0b11, 0b1111_1110, 0b1111))
    assert judged_where_least([(SEEN, but_the_first), (BLIND, FIRST_TOKEN)], [], AXES) is SEEN
    assert judged_where_least([(SEEN, FIRST_TOKEN), (BLIND, but_the_first)], [], AXES) is BLIND


def test_raw_readouts_of_both_halves_cover_the_state() -> None:
    halves = [Reads((0b11, mask, 0b1111)) for mask in (0b1111, 0b1111_0000)]
    readouts = [(SEEN, half) for half in halves]
    assert judged_where_least([*readouts, (BLIND, EVERYTHING)], [], AXES) is SEEN


def test_what_another_state_shows_covers_everything() -> None:
    assert judged_where_least([(BLIND, EVERYTHING)], [SEEN], AXES) is SEEN


def test_a_state_that_nothing_reads_is_blind() -> None:
    assert judged_where_least([], [], AXES) is BLIND


def test_an_unknown_readout_beside_a_blind_one_is_unknown() -> None:
    unknown = Visibility.UNKNOWN
    assert judged_where_least([(unknown, EVERYTHING), (BLIND, EVERYTHING)], [], AXES) is unknown


def test_the_most_visible_of_the_other_readouts_speaks_for_the_rest() -> None:
    readouts = [
        (SEEN, FIRST_TOKEN),
        (BLIND, EVERYTHING),
        (Visibility.SATURATING, EVERYTHING),
    ]
    assert judged_where_least(readouts, [], AXES) is Visibility.SATURATING


def test_a_gate_on_one_token_leaves_the_others_to_what_reads_them() -> None:
    saturating = Visibility.SATURATING
    readouts = [(saturating, FIRST_TOKEN), (BLIND, EVERYTHING)]
    assert judged_where_least(readouts, [], AXES) is BLIND
    assert judged_where_least([*readouts, (SEEN, LAST_TOKEN)], [], AXES) is BLIND
    assert judged_where_least(readouts, [saturating], AXES) is saturating
    assert (
        judged_where_least([(saturating, EVERYTHING), (BLIND, EVERYTHING)], [], AXES) is saturating
    )


def test_reads_are_those_of_the_support() -> None:
    support = Support((0, 1, 2), (0b11, 0b1, 0b1111))
    assert Reads.of(Scale(LINEAR, support=support)) == FIRST_TOKEN


def test_reads_of_an_inexact_support_are_not_told() -> None:
    support = Support((0, 1, 2), (0b11, 0b1, 0b1111), exact=False)
    assert Reads.of(Scale(LINEAR, support=support)) == UNTOLD
    assert Reads.of(Scale(LINEAR)) == UNTOLD


def test_a_union_with_what_is_not_told_is_not_told() -> None:
    assert FIRST_TOKEN.union(UNTOLD) == UNTOLD
    assert FIRST_TOKEN.union(ALL_BUT_LAST) == ALL_BUT_LAST


ALL = Support((0, 1, 2), (0b11, 0b1111, 0b1111))
PART = Support((0, 1, 2), (0b11, 0b0111, 0b1111))


@pytest.mark.parametrize("at_most", [ALL, PART])
def test_beside_what_reads_all_it_is_told_what_an_inexact_support_reads(at_most: Support) -> None:
    inexact = Scale(LINEAR, support=replace(at_most, exact=False))
    whole = Scale(LINEAR, support=ALL)
    for merged in (merge_support(whole, inexact), merge_support(inexact, whole)):
        assert merged is not None
        assert merged.exact
        assert merged.reads == ALL.reads


def test_beside_what_reads_less_it_is_not_told() -> None:
    inexact = Scale(LINEAR, support=replace(ALL, exact=False))
    part = Scale(LINEAR, support=PART)
    for merged in (
        merge_support(part, inexact),
        merge_support(inexact, part),
        merge_support(inexact, inexact),
    ):
        assert merged is not None
        assert not merged.exact


@pytest.mark.parametrize(
    ("reads", "share"),
    [
        (EVERYTHING, 1),
        (LAST_TOKEN, 1 / 8),
        (FIRST_TOKEN, 1 / 8),
        (ALL_BUT_LAST, 7 / 8),
        (UNTOLD, None),
    ],
)
def test_share_of_the_positions_that_are_read(reads: Reads, share: float | None) -> None:
    assert reads.share(AXES, (2, 8, 4)) == share
