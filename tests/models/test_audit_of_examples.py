"""The audit of the examples says what their docstrings say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scaleaudit.api import audit_facts
from scaleaudit.domain.facts import ScaleFacts, StateFacts
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = load_rules()

# Of every state: variable, transition, visibility, effective penalties; then the rules.
EXPECTED = {
    "looped_gpt_blind": ({("x", "carried", "invariant", 0)}, {"SCL101"}),
    "looped_gpt_fixed": ({("x", "removed", "invariant", 0)}, set()),
    "exits_blind": ({("state", "carried", "invariant", 0)}, {"SCL101", "SCL103"}),
    "exits_fixed": ({("state", "carried", "visible", 0)}, set()),
    "injection_coda_blind": ({("latent", "carried", "asymptotic", 0)}, {"SCL101"}),
    "injection_coda_fixed": ({("latent", "carried", "asymptotic", 1)}, set()),
    "gru_refinement_blind": ({("hypothesis", "carried", "invariant", 0)}, {"SCL101"}),
    "gru_refinement_fixed": ({("hypothesis", "bounded", "invariant", 0)}, set()),
    "fast_slow_blind": (
        {("fast", "carried", "invariant", 0), ("slow", "carried", "invariant", 0)},
        {"SCL101"},
    ),
    "damped_injection": ({("latent", "damped", "invariant", 0)}, {"SCL205"}),
    "lstm_language_model": (
        {("lstm (2)", "bounded", "invariant", 0), ("lstm", "damped", "invariant", 0)},
        set(),
    ),
    "untied_gpt": (set(), set()),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def facts_of(name: str) -> ScaleFacts:
    return audit_facts(str(EXAMPLES / f"{name}.py"), "scaleaudit_target")


def described(state: StateFacts) -> tuple[str, str, str, int]:
    effective = sum(penalty.effective for penalty in state.penalties)
    return state.name, state.transition.value, state.visibility.value, effective


def test_every_example_is_expected_something_of() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_is_judged_as_its_docstring_says(name: str) -> None:
    states, codes = EXPECTED[name]
    facts = facts_of(name)
    found = [described(state) for loop in facts.loops for state in loop.states]
    assert (set(found), len(found)) == (states, len(states))
    judged = evaluate(RULES, name, "scaleaudit_target", facts)
    assert {finding.code for finding in judged.findings} == codes


def test_a_loss_in_forward_is_found() -> None:
    assert facts_of("looped_gpt_blind").loss_found


def test_raw_exits_are_visible_and_the_last_one_is_not() -> None:
    ((state,),) = (loop.states for loop in facts_of("exits_fixed").loops)
    degrees = {turn: r.degree for r in state.readouts if r.supervised for turn in r.turns}
    assert degrees == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 0}
