"""The verdict from what scaling and training showed."""

import math
from dataclasses import replace

import pytest

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.probing import Carry
from scaleaudit.probe.deciding import Seed, decide, is_clear, span, together
from scaleaudit.probe.response import Response

CONFIRMED, REFUTED, OPEN = ProbeVerdict
FLAT, RISING = Response((2.0, 2.5, 2.5)), Response((2.0, 30.0, 3000.0))
REWARDED = Response((2.0, -30.0, -3000.0))


def seed(norm=1000.0, twin=30.0, deeper=3.0, first=14.0, **more):
    return Seed(first=first, norm=norm, twin=twin, deeper=deeper, **more)


WHOLE, WHOLE_BOUNDED = Carry(1.0, 1e6), Carry(1.0, 1.0)
HALF, HALF_TRAINED_TO_DOUBLE = Carry(0.5, 1e6, 0, 0.5), Carry(0.5, 1e6, 0, 2.0)
HALF_BOUNDED, FORGOTTEN = Carry(0.98, 1.002, 0, 0.999), Carry(1e-8, 100.0)
STAYS = seed(norm=8.0, twin=8.0, deeper=1.0, first=8.0)


@pytest.mark.parametrize(
    ("response", "seeds", "verdict"),
    [
        (FLAT, [seed(), seed()], CONFIRMED),
        (FLAT, [STAYS, STAYS], REFUTED),
        (RISING, [STAYS], REFUTED),
        # A restrained state may be longer than a penalised one, and add up when run deeper.
        (RISING, [seed(norm=102, twin=39, deeper=4.0)], REFUTED),
        # It sees one direction alone, and the state has not come to rest along the others.
        (RISING, [seed(norm=17, twin=5, first=4, late=1.1, carry=WHOLE)], OPEN),
        (RISING, [seed(norm=17, twin=5, first=4, late=3.3, again=True, carry=WHOLE)], OPEN),
        (RISING, [seed(norm=17, twin=5, first=4, late=1.1, again=True, carry=WHOLE)], REFUTED),
        (RISING, [seed(norm=17, twin=5, first=4, late=3.3, again=True, carry=HALF)], REFUTED),
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
        # A turn that reads earlier ones cannot be made again, and those that were trained pile up.
        (FLAT, [seed(norm=52, twin=6.4, first=16.5, deeper=None, span=4.0)], CONFIRMED),
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
        # Length is rewarded, so that the twin grows alike.
        (REWARDED, [seed(norm=9e4, twin=8e4)], CONFIRMED),
        (REWARDED, [seed(norm=9e4, twin=8e4, carry=FORGOTTEN)], REFUTED),
        (REWARDED, [seed(norm=14, twin=13)], OPEN),
        # It leads a twin that is drawn out too, as what a turn keeps whole does where nothing is paid.
        (REWARDED, [seed(norm=11.4, twin=7.7, deeper=2.6, first=6, carry=WHOLE)], CONFIRMED),
        # A loss that overflows far out does see the length.
        (Response((2.0, 30.0, math.inf)), [STAYS], REFUTED),
    ],
)
def test_decisions(response, seeds, verdict):
    decision = decide(response, seeds)
    assert decision.verdict is verdict
    assert bool(decision.reason) == (verdict is OPEN)


@pytest.mark.parametrize(
    ("carry", "figures", "verdict"),
    [
        # What a turn keeps whole and adds to grows, whether there was room to grow in training or not.
        (WHOLE, {"norm": 51, "twin": 40, "deeper": 4.4, "first": 37}, CONFIRMED),
        (WHOLE, {"norm": 14, "twin": 5}, CONFIRMED),
        (WHOLE_BOUNDED, {"norm": 18, "twin": 13, "deeper": 3.7, "first": 16}, CONFIRMED),
        # Without a lead over the twin that says nothing yet.
        (WHOLE, {"norm": 70, "twin": 66, "deeper": 3.8, "first": 10}, OPEN),
        (WHOLE, {"norm": 14, "twin": 14, "deeper": 4.0}, OPEN),
        (WHOLE, {"norm": 3.7, "twin": 3.5, "deeper": 1.0, "first": 3.7}, OPEN),
        # What a loop keeps may turn around in it, and be long all the same.
        (WHOLE, {"norm": 12, "twin": 4.4, "deeper": 1.03, "first": 5}, CONFIRMED),
        (WHOLE_BOUNDED, {"norm": 3.7, "twin": 3.5, "deeper": 1.07, "first": 3.7}, OPEN),
        # Forgotten at once, or bit by bit while the writes are bounded: it cannot drift.
        (FORGOTTEN, {"norm": 24, "twin": 8, "deeper": 1.0, "first": 8}, REFUTED),
        (FORGOTTEN, {"norm": 13, "twin": 5, "deeper": 1.4, "first": 5}, REFUTED),
        (HALF_BOUNDED, {"norm": 26, "twin": 8, "deeper": 3.3, "first": 3.4}, REFUTED),
        # Forgotten bit by bit, so that more turns add nothing: its writes grow.
        (HALF, {"norm": 13, "twin": 4, "deeper": 0.8, "first": 1.7}, CONFIRMED),
        (HALF, {"norm": 4.0, "twin": 2.5, "deeper": 0.6, "first": 0.8}, OPEN),
        (HALF, {"norm": 6.5, "twin": 5.7, "deeper": 1.0, "first": 5}, REFUTED),
        # The twin shrank, and it stayed as it was.
        (HALF, {"norm": 5.5, "twin": 3.6, "deeper": 1.0, "first": 5.1}, REFUTED),
        (HALF_TRAINED_TO_DOUBLE, {"norm": 5.5, "twin": 3.6, "deeper": 1.0, "first": 5.1}, OPEN),
        # Training may let a turn keep more, and lengthen what it reads.
        (HALF_TRAINED_TO_DOUBLE, {"norm": 6.5, "twin": 5.7, "deeper": 1.0, "first": 5}, OPEN),
        (Carry(0.7, 1.0, 0, 1.4), {"norm": 1.49, "twin": 1.19, "deeper": 0.1, "first": 0.7}, OPEN),
        # Writes are bounded, and some tokens pass every turn as they are.
        (Carry(0.9, 1.0, 0.4, 0.99), {"norm": 4, "twin": 3.9, "deeper": 1.0, "first": 4}, OPEN),
        (HALF, {"norm": 50, "twin": 48, "deeper": 1.6, "first": 5}, OPEN),
    ],
)
def test_what_a_turn_keeps_decides_what_training_has_to_show(carry, figures, verdict):
    assert decide(FLAT, [seed(carry=carry, **figures)]).verdict is verdict


NAN = math.nan


@pytest.mark.parametrize(
    ("response", "seeds", "said"),
    [
        # Nothing is measured of a run that ended in no numbers, how many turns it may have.
        (FLAT, [seed(norm=NAN, twin=NAN, deeper=None)], "numbers end in the twin too"),
        (RISING, [seed(norm=NAN, twin=NAN, deeper=None)], "numbers end in the twin too"),
        (FLAT, [seed(deeper=None)], "the loop cannot be run deeper"),
        (
            FLAT,
            [seed(norm=14, twin=14, carry=WHOLE)],
            "ends at 1 times that of the twin, so the pen",
        ),
        (FLAT, [seed(norm=14, twin=14, deeper=1.0, carry=WHOLE)], "a turn keeps length"),
        (FLAT, [seed(norm=45, twin=30)], "ends at 1.5 times that of the twin, between"),
        (FLAT, [seed(norm=45, twin=30), seed(norm=48, twin=30)], "ends at 1.5 to 1.6 times"),
        (FLAT, [seed(), STAYS], "the seeds do not agree"),
        (RISING, [seed(norm=426, twin=30)], "scaling the state changes the loss"),
        (REWARDED, [seed(norm=14, twin=13, deeper=1.0)], "falls as the state becomes longer"),
    ],
)
def test_what_is_open_says_what_is_in_the_way(response, seeds, said):
    assert said in decide(response, seeds).reason


def test_what_is_held_needs_nothing_learnt_to_be_refuted():
    held = seed(norm=14, twin=14, deeper=1.4, carry=HALF_BOUNDED, learnt=False)
    assert decide(FLAT, [held]).verdict is REFUTED


def test_what_is_seen_along_a_few_directions_is_not_refuted_as_it_rests():
    rests = seed(norm=17, twin=5, first=4, late=1.1, again=True, carry=WHOLE)
    assert decide(replace(RISING, directions=1.0), [rests]).verdict is REFUTED
    assert decide(replace(RISING, directions=1 / 16), [rests]).verdict is OPEN
    held = replace(rests, norm=6)
    assert decide(replace(RISING, directions=1 / 16), [held]).verdict is REFUTED


def test_seeds_are_made_until_two_agree_by_far():
    assert not is_clear(FLAT, [seed()])
    assert is_clear(FLAT, [seed(), seed()])
    assert not is_clear(FLAT, [seed(norm=75), seed(norm=75)])
    assert is_clear(RISING, [STAYS])
    assert not is_clear(FLAT, [seed(), STAYS])


def test_one_seed_will_do_where_the_weights_show_the_same():
    assert is_clear(FLAT, [seed(carry=WHOLE)])
    assert not is_clear(FLAT, [seed(norm=75, carry=WHOLE)])
    assert not is_clear(FLAT, [seed(carry=HALF)])
    assert is_clear(FLAT, [seed(norm=8, twin=8, deeper=1.0, carry=FORGOTTEN)])
    assert is_clear(FLAT, [seed(norm=26, twin=8, carry=HALF_BOUNDED)])
    assert not is_clear(FLAT, [seed(norm=8, twin=8, deeper=1.0, first=8, carry=HALF)])


def test_a_target_is_confirmed_by_one_state_and_refuted_by_all():
    assert together([REFUTED, CONFIRMED, OPEN]) is CONFIRMED
    assert together([REFUTED, REFUTED]) is REFUTED
    assert together([REFUTED, OPEN]) is OPEN
    assert together([]) is OPEN


def test_the_span_is_that_of_the_lengths_that_are_numbers():
    assert span([600.0, 900.0, math.inf, math.nan, 0.0]) == 1.5
    assert span([]) == 1.0
