"""The work of an audit stays what it is, and does not grow with the depth of a loop.

What is compared are numbers of operators, nodes and laws, which no machine changes. Where they
change for good: ``python scripts/count_work.py --write``, and look at the difference.
"""

from __future__ import annotations

from dataclasses import asdict

import pytest
from counting import GUARDED, SIZES, Work, count_work, decoder, read_work

MOST = 1.05
# Less work is welcome, and written down, so that it stays less.
LEAST = 0.80
SHALLOW, MIDDLE, DEEP = 4, 8, 64
GROWTH = 1.5

KNOWN = read_work()


@pytest.fixture(scope="module")
def work() -> dict[str, Work]:
    """What was counted already."""
    return {}


def counted(work: dict[str, Work], target: str) -> dict[str, int]:
    if target not in work:
        work[target] = count_work(target)
    return asdict(work[target])


@pytest.mark.parametrize("target", GUARDED)
def test_work_is_what_is_written_down(target: str, work: dict[str, Work]) -> None:
    now, known = counted(work, target), asdict(KNOWN[target])
    grown = {name: (known[name], now[name]) for name in now if now[name] > MOST * known[name]}
    assert not grown, "more work than written down in work.json"
    shrunk = {name: (known[name], now[name]) for name in now if now[name] < LEAST * known[name]}
    assert not shrunk, "less work: keep it with `python scripts/count_work.py --write`"


def test_every_guarded_target_is_written_down() -> None:
    assert set(KNOWN) == set(GUARDED)


@pytest.mark.parametrize("size", SIZES)
def test_analysis_of_a_deep_loop_is_about_that_of_a_shallow_one(
    size: str, work: dict[str, Work]
) -> None:
    middle, deep = (counted(work, decoder(size, turns)) for turns in (MIDDLE, DEEP))
    for name in ("nodes", "applications", "laws"):
        assert deep[name] <= GROWTH * middle[name], name


@pytest.mark.parametrize("size", SIZES)
def test_turns_add_no_operators_but_those_of_the_models_own_forward(
    size: str, work: dict[str, Work]
) -> None:
    # Without layers all that a turn runs is what the forward and the loss say themselves.
    added, own = (
        counted(work, decoder(size, DEEP, layers=layers))["operators"]
        - counted(work, decoder(size, SHALLOW, layers=layers))["operators"]
        for layers in ("", "bare_")
    )
    assert added <= own
