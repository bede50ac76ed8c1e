"""The audit of the reference models: blind conditions are faults, controlled ones pass."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest
import torch

from scaleaudit.api import audit_facts
from scaleaudit.domain.facts import ProofStep, StateFacts
from scaleaudit.domain.report import Verdict
from scaleaudit.reference.config import CONDITIONS, SIZES
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

TARGETS = Path(__file__).parents[2] / "scaleaudit" / "reference" / "targets.py"
RULES = load_rules()

# Transition, visibility, effective penalties.
EXPECTED = {
    "terminal_rmsnorm": ("carried", "invariant", 0),
    "terminal_raw": ("carried", "visible", 0),
    "per_loop_rmsnorm": ("carried", "invariant", 0),
    "per_loop_raw": ("carried", "visible", 0),
    "per_loop_final_norm": ("carried", "visible", 0),
    "terminal_penalty": ("carried", "invariant", 1),
    "per_loop_penalty": ("carried", "invariant", 1),
    "norm_between": ("removed", "invariant", 0),
}
BLIND = ("terminal_rmsnorm", "per_loop_rmsnorm")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def only_state(condition: str, size: str) -> StateFacts:
    facts = audit_facts(str(TARGETS), f"scaleaudit_target_{condition}_{size}")
    (loop,) = facts.loops
    assert loop.turns == 4
    (state,) = loop.states
    return state


def lines_of(proof: tuple[ProofStep, ...]) -> list[str]:
    """Return the source lines that a proof names, in order."""
    places = [step.location for step in proof if step.location is not None]
    return [linecache.getline(place.path, place.line).strip() for place in places]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_state_of_a_condition_is_as_the_paper_has_it(condition: str, size: str) -> None:
    state = only_state(condition, size)
    effective = sum(penalty.effective for penalty in state.penalties)
    found = (state.transition.value, state.visibility.value, effective)
    assert found == EXPECTED[condition]
    assert not state.opaque


@pytest.mark.parametrize("condition", CONDITIONS)
def test_blind_conditions_fail_and_controlled_ones_pass(condition: str) -> None:
    name = f"scaleaudit_target_{condition}_tiny"
    judged = evaluate(RULES, str(TARGETS), name, audit_facts(str(TARGETS), name))
    codes = {finding.code for finding in judged.findings}
    assert codes == ({"SCL101"} if condition in BLIND else set())
    assert judged.verdict is (Verdict.FAIL if condition in BLIND else Verdict.PASS)


@pytest.mark.parametrize("condition", BLIND)
def test_proof_leads_from_the_residual_adds_through_the_norm_to_the_loss(condition: str) -> None:
    state = only_state(condition, "tiny")
    assert any("x + self.feed_forward" in line for line in lines_of(state.transition_proof))
    for readout in state.readouts:
        if readout.supervised:
            lines = lines_of(readout.proof)
            norm = next(i for i, line in enumerate(lines) if "self.readout_norm(h)" in line)
            assert any("cross_entropy" in line for line in lines[norm:])


def test_penalty_is_found_where_it_is_written() -> None:
    (penalty,) = only_state("per_loop_penalty", "tiny").penalties
    assert penalty.degree == 2
    assert penalty.location is not None
    assert Path(penalty.location.path).name == "objective.py"
