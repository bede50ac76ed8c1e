"""Random looped models of many families: measured, or counted and certified."""

from __future__ import annotations

import pytest
import torch
from looped.comparing import compare, target_of
from looped.draws import EXACT_FAMILIES, random_draw
from looped.measuring import DiscardedError
from looped.programs import COUNTED_FAMILIES, FAMILIES, random_program

from scaleaudit.capture.capturing import capture
from scaleaudit.certify.certifying import certify
from scaleaudit.domain.facts import Outcome
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse_and_claim

torch.set_num_threads(1)

MEASURED, CERTIFIED = 6, 5
MANY = 200
SECONDS = 60.0
WIDER = tuple(family for family in EXACT_FAMILIES if family != "plain")


def complaints_of_measuring(family: str, seed: int) -> tuple[str, ...]:
    """What the audit says and the numbers do not; nothing where those tell nothing."""
    try:
        return compare(random_draw(seed, family)).complaints
    except DiscardedError:
        return ()


def complaints_of_certification(family: str, seed: int) -> tuple[str, ...]:
    drawn = random_program(family, seed)
    program = capture(target_of(drawn.model, *drawn.args))
    facts, claims = analyse_and_claim(program.graph, find_loops(program.graph))
    miscounted = drawn.shape.complaint(tuple(len(loop.states) for loop in facts.loops))
    if miscounted:
        return (miscounted,)
    found = certify(program, claims, seconds=SECONDS, seed=seed)
    assert found is not None
    return tuple(map(str, found.disagreements)) + (
        found.reasons if found.outcome is Outcome.NOT_CERTIFIED else ()
    )


@pytest.mark.parametrize("seed", range(MEASURED))
@pytest.mark.parametrize("family", WIDER)
def test_audit_of_a_family_agrees_with_what_is_measured(family: str, seed: int) -> None:
    assert complaints_of_measuring(family, seed) == ()


@pytest.mark.parametrize("seed", range(CERTIFIED))
@pytest.mark.parametrize("family", COUNTED_FAMILIES)
def test_loops_and_states_of_a_family_are_found_and_certified(family: str, seed: int) -> None:
    assert complaints_of_certification(family, seed) == ()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_many_more_models_of_a_family_are_certified(family: str) -> None:
    complaints = {seed: complaints_of_certification(family, seed) for seed in range(MANY, 2 * MANY)}
    assert not {seed: said for seed, said in complaints.items() if said}


def test_plain_programs_are_those_that_are_drawn_for_measuring() -> None:
    assert random_program("plain", 5).told == str(random_draw(5))


def test_a_miscounted_state_is_told() -> None:
    shape = random_program("coupled", 0).shape
    assert shape.complaint((2,)) == ""
    assert "1 loops with (1,) states" in shape.complaint((1,))
    assert "2 loops" in shape.complaint((1, 1))
