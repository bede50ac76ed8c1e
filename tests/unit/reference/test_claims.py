"""The claims of the paper, held against runs made by hand."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from reproductions import overflowed, run

from scaleaudit.reference.claims import claims, separation, side_by_side

ORDER = ("terminal_rmsnorm", "terminal_raw", "per_loop_rmsnorm", "per_loop_raw")


def conditions(blind: float = 1200.0, controlled: float = 6.0, seeds: int = 2):
    lengths = {name: blind if name.endswith("rmsnorm") else controlled for name in ORDER}
    return side_by_side(
        [run(name, seed, lengths[name] + seed) for seed in range(seeds) for name in ORDER], ORDER
    )


def test_runs_stand_side_by_side_in_the_order_of_conditions_and_seeds():
    found = side_by_side([run(name, seed, 1) for name in reversed(ORDER) for seed in (1, 0)], ORDER)
    assert [each.condition for each in found] == list(ORDER)
    assert [[r.seed for r in each.runs] for each in found] == [[0, 1]] * 4


def test_lengths_in_thousands_and_in_tens_reproduce():
    blind, controlled, perplexity = claims(conditions())
    assert (blind.holds, blind.found) == (True, "1,200 to 1,201")
    assert (controlled.holds, controlled.found) == (True, "6 to 7")
    assert perplexity.holds is False


@pytest.mark.parametrize(
    ("blind", "controlled", "holds"),
    [
        (998.0, 6.0, [False, True]),
        (99_999.5, 6.0, [False, True]),
        (1200.0, 99.5, [True, False]),
        (math.nan, math.inf, [False, False]),
    ],
)
def test_one_seed_beyond_the_bounds_keeps_a_claim_from_holding(blind, controlled, holds):
    assert [claim.holds for claim in claims(conditions(blind, controlled))[:2]] == holds


def test_perplexity_is_compared_with_the_blind_condition_of_the_same_supervision():
    found = side_by_side(
        [
            run("terminal_rmsnorm", 0, 1000, (99, 50, 20, 14)),
            run("per_loop_rmsnorm", 0, 1000, (15, 14, 14, 14)),
            run("per_loop_raw", 0, 6, (14, 13, 14.5, 13.5)),
            run("terminal_raw", 0, 6, (999, 99, 21, 13)),  # whose last turn alone is trained
        ],
        ORDER,
    )
    terminal, per_loop = (each.perplexity for each in found if not each.blind)
    assert terminal.holds is True
    assert terminal.said == "lower than `terminal_rmsnorm` after every turn in the loss"
    assert terminal.found == "13 against 14 after 4 turns"
    assert per_loop.holds is False
    assert per_loop.found == "13.5 against 14 after 4 turns; lower after 1, 2, 4 of 4"
    assert claims(found)[2].found == "after every turn in the loss in 1 of 2 conditions"


def test_only_seeds_that_both_have_are_compared():
    runs = [
        run("terminal_rmsnorm", 0, 1000),
        run("terminal_raw", 0, 6, (19, 15, 14, 13)),
        run("terminal_raw", 1, 6, (99, 99, 99, 99)),
    ]
    (controlled,) = (each for each in side_by_side(runs, ORDER) if not each.blind)
    assert controlled.perplexity.holds is True
    (alone,) = (each for each in side_by_side([runs[0], runs[2]], ORDER) if not each.blind)
    assert alone.perplexity.holds is None


def test_without_blind_runs_nothing_is_said_of_what_depends_on_them():
    found = side_by_side([run("per_loop_raw", 0, 6)], ORDER)
    assert [claim.holds for claim in claims(found)] == [None, True, None]
    assert [claim.holds for claim in separation(found)] == [None, None]
    assert [claim.holds for claim in claims(())] == [None, None, None]


def test_separation_asks_the_shortest_blind_run_and_the_longest_controlled_one():
    every, pairs = separation(conditions(blind=100, controlled=19))
    assert (every.holds, every.found) == (True, "at least 5 times")
    assert pairs.holds is False  # 101 / 20
    assert [claim.holds for claim in separation(conditions(blind=100, controlled=20))] == [
        False
    ] * 2
    assert [claim.holds for claim in separation(conditions(blind=100, controlled=9))] == [True] * 2


def test_a_blind_run_that_overflowed_has_no_length_in_the_thousands():
    lost = [overflowed("per_loop_rmsnorm", 2)]
    blind, controlled, _ = claims(conditions(), lost)
    assert (blind.holds, blind.found) == (False, "1,200 to 1,201; 1 overflowed")
    assert (controlled.holds, controlled.found) == (True, "6 to 7")
    assert [claim.holds for claim in separation(conditions(), lost)] == [True, True]
    assert claims((), lost)[0].holds is False


def test_a_controlled_run_that_overflowed_was_not_held():
    lost = [overflowed("per_loop_raw", 2)]
    assert claims(conditions(), lost)[1].holds is False
    assert [claim.holds for claim in separation(conditions(), lost)] == [False, False]
    other = [overflowed("terminal_raw", 2)]
    assert [claim.holds for claim in separation(conditions(), other)] == [False, True]


def test_a_condition_says_how_many_of_its_runs_overflowed():
    runs = [run(name, 0, 1200.0) for name in ("terminal_rmsnorm", "per_loop_rmsnorm")]
    one, other = side_by_side(runs, ORDER, [overflowed("per_loop_rmsnorm", 1)])
    assert (one.length.holds, other.length.holds) == (True, False)
    assert other.length.found.endswith("; 1 overflowed")
