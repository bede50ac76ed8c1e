"""Random small looped models: what the audit infers agrees with what is measured."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lawkit.recipes import BETWEEN, BLOCKS, PENALTIES, READOUTS, Recipe, target
from lawkit.responses import (
    has_gradient,
    penalty_complaints,
    respond,
    transition_complaints,
    visibility_complaints,
)

from scaleaudit.capture.capturing import capture
from scaleaudit.domain.facts import StateFacts
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse

EXAMPLES = 250
MET: Counter[str] = Counter()

recipes = st.builds(
    Recipe,
    block=st.sampled_from(BLOCKS),
    between=st.sampled_from(BETWEEN),
    injected=st.booleans(),
    readout=st.sampled_from(READOUTS),
    every_turn=st.booleans(),
    penalty=st.sampled_from(PENALTIES),
    seed=st.integers(0, 2**20),
)


@given(recipe=recipes)
@settings(max_examples=EXAMPLES)
def test_inferred_facts_of_models_agree_with_numbers(recipe: Recipe) -> None:
    check(recipe)


@pytest.mark.slow
@given(recipe=recipes)
@settings(max_examples=3000, derandomize=False)
def test_inferred_facts_of_many_more_models_agree_with_numbers(recipe: Recipe) -> None:
    check(recipe)


def test_every_transition_and_visibility_is_met() -> None:
    transitions = {"carried", "damped", "expanding", "linear", "removed", "bounded"}
    visibilities = {"invariant", "asymptotic", "saturating", "visible"}
    assert transitions | visibilities <= MET.keys(), MET


def check(recipe: Recipe) -> None:
    """Audit a model, measure it, and demand that nothing disagrees."""
    facts = audited(recipe)
    MET.update([facts.transition.value, facts.visibility.value])
    response = respond(recipe)
    complaints = [
        *transition_complaints(facts, recipe),
        *visibility_complaints(facts.visibility, response),
        *penalty_complaints(facts.penalties, response),
    ]
    if any(readout.supervised for readout in facts.readouts) != has_gradient(recipe):
        complaints.append("the gradient path of the readouts is another than autograd's")
    assert not complaints, "\n".join(complaints)


def audited(recipe: Recipe) -> StateFacts:
    """Return the facts of the model's one state."""
    graph = capture(target(recipe)).graph
    facts = analyse(graph, find_loops(graph))
    assert not facts.coverage.unknown, facts.coverage.unknown
    states = [state for loop in facts.loops for state in loop.states]
    assert len(states) == 1, [state.name for state in states]
    return states[0]
