"""What runs show that came apart, and what is told of losses that teach nothing."""

import math

import pytest

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.graph import Ref
from scaleaudit.domain.loops import CarriedState, Loop
from scaleaudit.domain.probing import Depth, StateTrace, TrainingRun, Turn
from scaleaudit.errors import ProbeError
from scaleaudit.probe.deciding import decide
from scaleaudit.probe.evidence import refuse_constant, seeds_of
from scaleaudit.probe.response import Response
from scaleaudit.probe.twins import Fix

NAN = math.nan
LONGER, ALIKE = (Depth(2, 1.0, 1.0), Depth(8, 4.0, 1.0)), (Depth(2, 1.0, 1.0), Depth(8, 1.0, 1.0))
STATE = CarriedState("h", (Ref(1), Ref(2)), Ref(0), None)
LOOP = Loop("Model.forward", 2, None, (STATE,), frozenset(), frozenset())


def run(fix, losses=(3.0, 2.0), overflowed=None, deep=LONGER):
    trace = StateTrace("h", "Model.forward", ((Turn(1.0, 1.0, 1.0),) * 2,), deep)
    return TrainingRun(0, fix.value, (0,), losses, (trace,), 1.0, overflowed)


def verdict(own, twin):
    (seed,) = seeds_of({(0, Fix.NONE): own, (0, Fix.PENALTY): twin}, LOOP, 0)
    return decide(Response((2.0, 2.0, 2.0)), [seed]).verdict


@pytest.mark.parametrize("losses", [(1.0, NAN), (1.0, math.inf), (NAN,), (1.0, 2.0, NAN), (1.0,)])
def test_a_loss_that_ends_in_no_number_is_not_called_constant(losses):
    refuse_constant(run(Fix.NONE, losses))


def test_a_loss_that_is_the_same_wherever_it_is_a_number_is_constant():
    with pytest.raises(ProbeError, match="the loss is constant: it is 1 at every step"):
        refuse_constant(run(Fix.NONE, (1.0, 1.0, NAN)))


def test_numbers_that_end_in_the_target_alone_are_growth():
    own = run(Fix.NONE, (3.0, NAN), overflowed=1, deep=())
    assert verdict(own, run(Fix.PENALTY)) is ProbeVerdict.CONFIRMED


def test_a_twin_that_came_apart_is_nothing_to_hold_a_target_against():
    own = run(Fix.NONE, deep=ALIKE)
    assert verdict(own, run(Fix.PENALTY)) is ProbeVerdict.REFUTED
    apart = run(Fix.PENALTY, (3.0, NAN), overflowed=1)
    assert verdict(own, apart) is ProbeVerdict.INCONCLUSIVE
    assert verdict(run(Fix.NONE, overflowed=1, deep=()), apart) is ProbeVerdict.INCONCLUSIVE
