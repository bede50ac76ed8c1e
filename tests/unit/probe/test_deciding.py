"""The verdict from what scaling and training showed."""

import math

import pytest

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.probe.deciding import Seed, decide, is_clear, span, together
from scaleaudit.probe.response import Response

CONFIRMED, REFUTED, OPEN = ProbeVerdict
FLAT, RISING = Response((2.0, 2.5, 2.5)), Response((2.0, 30.0, 3000.0))


def seed(norm=1000.0, twin=30.0, deeper=3.0, first=14.0, **more):
    return Seed(first=first, norm=norm, twin=twin, deeper=deeper, **more)


STAYS = seed(norm=8.0, twin=8.0, deeper=1.0, first=8.0)


@pytest.mark.parametrize(
    ("response", "seeds", "verdict"),
    [
        (FLAT, [seed(), seed()], CONFIRMED),
        (FLAT, [STAYS, STAYS], REFUTED),
        (RISING, [STAYS], REFUTED),
        # A restrained state may be longer than a penalised one, and add up when run deeper.
        (RISING, [seed(norm=102, twin=39, deeper=4.0)], REFUTED),
        # The loss sees a part of the positions, and the others grow.
        (RISING, [seed(norm=426, twin=30)], OPEN),
        # The twin shrank, and the state stayed.
        (FLAT, [seed(norm=14, twin=5)], OPEN),
        # After a few steps both have grown alike, as the penalty had no time.
        (FLAT, [seed(norm=70, twin=66, deeper=3.8, first=10)], OPEN),
        (FLAT, [seed(norm=70, twin=66, deeper=None, first=10)], OPEN),
        # It grew as blind states do, and more turns lead around.
        (FLAT, [seed(norm=817, twin=30, deeper=1.0, first=13)], OPEN),
        (FLAT, [seed(norm=817, twin=30, deeper=1.0, first=13, span=1.45)], CONFIRMED),
        # A norm between turns whose gain has grown gives the same length at every turn.
        (FLAT, [seed(norm=24, twin=8, deeper=1.0, first=8, span=1.01)], REFUTED),
        # A gate opened, and more turns hardly add to it.
        (FLAT, [seed(norm=2.93, twin=2.87, deeper=1.12, first=1.24)], REFUTED),
        (FLAT, [seed(), STAYS], OPEN),
        (FLAT, [seed(norm=45, twin=30)], OPEN),
        (FLAT, [seed(deeper=None)], OPEN),
        (FLAT, [seed(norm=math.nan, overflowed=True)], CONFIRMED),
        (FLAT, [seed(norm=math.nan, twin=math.nan)], OPEN),
        (FLAT, [seed(norm=14, twin=14, learnt=False)], OPEN),
        (FLAT, [seed(norm=14, twin=14, deeper=1.0, learnt=False)], REFUTED),
        (FLAT, [], OPEN),
        (Response((2.0, math.nan, math.nan)), [seed()], OPEN),
        # A loss that overflows far out does see the length.
        (Response((2.0, 30.0, math.inf)), [STAYS], REFUTED),
    ],
)
def test_decisions(response, seeds, verdict):
    decision = decide(response, seeds)
    assert decision.verdict is verdict
    assert bool(decision.reason) == (verdict is OPEN)


def test_seeds_are_made_until_two_agree_by_far():
    assert not is_clear(FLAT, [seed()])
    assert is_clear(FLAT, [seed(), seed()])
    assert not is_clear(FLAT, [seed(norm=75), seed(norm=75)])
    assert is_clear(RISING, [STAYS])
    assert not is_clear(FLAT, [seed(), STAYS])


def test_a_target_is_confirmed_by_one_state_and_refuted_by_all():
    assert together([REFUTED, CONFIRMED, OPEN]) is CONFIRMED
    assert together([REFUTED, REFUTED]) is REFUTED
    assert together([REFUTED, OPEN]) is OPEN
    assert together([]) is OPEN


def test_the_span_is_that_of_the_lengths_that_are_numbers():
    assert span([600.0, 900.0, math.inf, math.nan, 0.0]) == 1.5
    assert span([]) == 1.0
