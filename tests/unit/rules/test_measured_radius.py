"""Findings on linear carries say what the weights at hand make of them, and stay the same finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_support import FILE, RULES, facts, probed, state

from scaleaudit.domain.diagnostics import Diagnostics, StateDiagnostics
from scaleaudit.rules.engine import evaluate


def _found(radius, weights="saved.pt", name=None):
    carried = state("linear")
    given = probed(facts(carried), "inconclusive")
    loop = given.loops[0]
    measured = StateDiagnostics(name or carried.name, loop.name, loop.turns, radius=radius)
    probe = replace(given.probe, diagnostics=Diagnostics(weights, 1.0, (measured,)))
    judged = evaluate(RULES, FILE, "scaleaudit_target", replace(given, probe=probe))
    return next(each for each in judged.findings if each.code == "SCL202")


@pytest.mark.parametrize(
    ("weights", "said"),
    [("saved.pt", "spectral radius 1.072 in saved.pt"), ("", "spectral radius 1.072 at init")],
)
def test_the_message_gives_the_spectral_radius(weights, said):
    assert said in _found(1.0718, weights).message


def test_a_radius_that_is_not_known_or_of_another_state_is_not_told():
    assert "spectral radius 1" not in _found(None).message
    assert "spectral radius 1" not in _found(1.07, name="another").message


def test_other_weights_leave_the_fingerprint():
    assert (
        _found(1.07).fingerprint == _found(0.5, "other.pt").fingerprint == _found(None).fingerprint
    )
