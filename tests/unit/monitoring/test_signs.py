"""Each sign is given once, when it lasts, and not for what passes or what is held."""

from __future__ import annotations

import math

import pytest

from scaleaudit.domain.facts import (
    LoopFacts,
    Penalty,
    PenaltyFlaw,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.loops import CarriedState, Loop, LoopNest
from scaleaudit.domain.probing import Turn
from scaleaudit.monitoring import thresholds
from scaleaudit.monitoring.signs import Look, Lookout, SignKind, is_restrained, lookouts


def facts(
    transition=Transition.CARRIED, visibility=Visibility.INVARIANT, penalties=(), name="h"
) -> StateFacts:
    return StateFacts(name, (4, 16), "float32", None, transition, visibility, (), penalties)


def lookout(state=None) -> Lookout:
    state = state or facts()
    return Lookout(LoopFacts("M.forward", 2, None, (state,)), state)


def looks(*lengths, dtype="float32", room=1e30, unchanged=None):
    return [Look(Turn(at, at, at), dtype, 4.0, room, unchanged) for at in lengths]


def kinds(watcher, rows):
    return [[sign.kind for sign in watcher.look(step, row)] for step, row in enumerate(rows)]


def test_growth_over_steps_and_turns_is_a_sign_once_it_lasts():
    rows = [looks(9, 10), looks(30, 50), looks(30, 60), looks(40, 70), looks(80, 300)]
    assert kinds(lookout(), rows) == [[], [], [], [SignKind.GROWTH], []]
    watcher = lookout()
    (sign,) = [found for step, row in enumerate(rows) for found in watcher.look(step, row)]
    assert sign.step == 3
    assert sign.message.startswith("state `h` of loop `M.forward` has grown 7-fold since step 0")
    assert "from 10 to 70" in sign.message
    assert (sign.loop, sign.state) == ("M.forward", "h")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(9, 10), (9, 50), (9, 60), (9, 20), (9, 50), (9, 60)], "it came down in between"),
        ([(10, 10), (50, 50), (60, 60), (70, 70), (80, 80)], "turns add nothing"),
        ([(0.1, 0.1), (1, 3), (2, 6), (3, 9), (3, 12)], "it grows into its first real length"),
        ([(9, 10), (11, 12), (12, 13), (13, 14)], "it hardly grows"),
    ],
)
def test_what_is_no_growth_is_no_sign(rows, why):
    assert not any(kinds(lookout(), [looks(*row) for row in rows])), why


def test_a_restrained_state_may_grow_farther_before_it_is_a_sign():
    state = facts(penalties=(Penalty("p", 2.0, None),))
    far = [looks(9, 10), *[looks(30, 299)] * 3]
    assert not any(kinds(lookout(state), far))
    farther = [looks(9, 10), *[looks(30, 301)] * 3]
    assert kinds(lookout(state), farther)[-1] == [SignKind.GROWTH]


@pytest.mark.parametrize(
    ("state", "held"),
    [
        (facts(), False),
        (facts(Transition.EXPANDING, Visibility.ASYMPTOTIC), False),
        (facts(Transition.DAMPED), False),
        (facts(visibility=Visibility.SATURATING), False),
        (facts(Transition.UNKNOWN, Visibility.UNKNOWN), False),
        (facts(penalties=(Penalty("p", 2.0, None, PenaltyFlaw.DETACHED),)), False),
        (facts(penalties=(Penalty("p", 2.0, None),)), True),
        (facts(visibility=Visibility.VISIBLE), True),
        (facts(Transition.REMOVED), True),
        (facts(Transition.BOUNDED), True),
    ],
)
def test_only_what_is_known_to_restrain_counts(state, held):
    assert is_restrained(state) is held


def test_what_is_no_number_is_said_before_anything_else():
    rows = [looks(9, 10), looks(9, math.nan), looks(math.inf, math.inf)]
    watcher = lookout()
    found = [sign for step, row in enumerate(rows) for sign in watcher.look(step, row)]
    assert [(sign.kind, sign.step) for sign in found] == [(SignKind.NOT_FINITE, 1)]
    assert "NaN or infinity after turn 2" in found[0].message


def test_little_room_in_a_narrow_type_is_a_sign_at_once():
    rows = [looks(9, 10, dtype="float16", room=room) for room in (100, thresholds.ROOM, 15.0)]
    assert kinds(lookout(), rows) == [[], [], [SignKind.HEADROOM]]


def test_writes_that_are_lost_are_a_sign_when_that_lasts_and_not_at_the_start():
    def rows(*shares):
        return [looks(9, 10, dtype="bfloat16", unchanged=share) for share in shares]

    assert kinds(lookout(), rows(0.1, 0.6, 0.6, 0.6))[-1] == [SignKind.FROZEN]
    assert not any(kinds(lookout(), rows(1.0, 0.6, 0.6, 0.4, 0.6, 0.6)))
    assert not any(kinds(lookout(), rows(1.0, 1.0, 0.2)))


def test_states_that_the_audit_does_not_know_count_as_not_restrained():
    nest = LoopNest((_loop("M.forward", "h"), _loop("M.other", "z")))
    known = LoopFacts("M.forward", 2, None, (facts(Transition.REMOVED),))
    found = lookouts((known,), nest)
    rows = [looks(9, 10), *[looks(30, 100)] * 3]
    assert not any(kinds(found[0, 0], rows))
    assert kinds(found[1, 0], rows)[-1] == [SignKind.GROWTH]


def test_nothing_measured_is_nothing_seen():
    assert lookout().look(0, []) == ()


def _loop(name: str, state: str) -> Loop:
    carried = CarriedState(state, (), None, None)
    return Loop(name, 2, None, (carried,), frozenset(), frozenset())
