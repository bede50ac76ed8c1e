"""Medians, spreads, ratios and aims."""

from __future__ import annotations

import pytest

from benchmarks.results import Aim, Line, Measure, Result, Spread, spread

CPU, WALL = Measure.CPU, Measure.WALL


def result(*lines: Line) -> Result:
    return Result("section", "what it is", lines)


def line(name: str, base: str = "", **samples: tuple[float, ...]) -> Line:
    return Line(name, base, samples={Measure[key.upper()]: each for key, each in samples.items()})


def test_spread_reaches_from_the_least_to_the_greatest() -> None:
    assert spread([3.0, 1.0, 2.0, 9.0]) == Spread(2.5, 1.0, 9.0, 4)


def test_ratio_compares_round_by_round_so_that_a_slow_round_falls_on_both() -> None:
    base, other = line("base", cpu=(1.0, 4.0, 1.0)), line("other", "base", cpu=(2.0, 8.0, 2.0))
    assert result(base, other).ratio(other, CPU) == Spread(2.0, 2.0, 2.0, 3)


def test_ratio_is_missing_where_one_was_not_measured() -> None:
    base, other = line("base", cpu=(1.0,)), line("other", "base", cpu=(2.0,))
    assert result(base, other).ratio(other, WALL) is None
    assert result(base, other).ratio(base, CPU) is None
    assert result(other).ratio(other, CPU) is None


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (Spread(1, 1, 2, 5), Spread(3, 3, 4, 5), True),
        (Spread(3, 3, 4, 5), Spread(1, 1, 2, 5), True),
        (Spread(1, 1, 2, 5), Spread(2, 2, 4, 5), False),
        (Spread(1, 1, 1, 1), Spread(3, 3, 3, 5), False),
    ],
)
def test_spreads_are_apart_where_they_do_not_meet_and_hold_enough(
    one: Spread, other: Spread, apart: bool
) -> None:
    assert one.is_apart_from(other) is apart


def test_aim_is_about_the_ratio_the_inverse_or_the_value() -> None:
    base, other = line("base", cpu=(8.0,)), line("other", "base", cpu=(2.0,))
    whole = result(base, other)
    numbers = [
        whole.judged(other, aim)
        for aim in (
            Aim(CPU, 1),
            Aim(CPU, 1, at_least=True, inverse=True),
            Aim(CPU, 1, absolute=True),
        )
    ]
    assert [number.median for number in numbers if number] == [0.25, 4.0, 2.0]
    assert whole.judged(base, Aim(CPU, 1)) == Spread(8.0, 8.0, 8.0, 1)


def test_aim_is_met_at_its_limit() -> None:
    assert Aim(CPU, 2).is_met_by(2)
    assert not Aim(CPU, 2).is_met_by(2.1)
    assert Aim(CPU, 2, at_least=True).is_met_by(2)
    assert not Aim(CPU, 2, at_least=True).is_met_by(1.9)
