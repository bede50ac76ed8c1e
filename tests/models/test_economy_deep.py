"""What an audit spares itself changes nothing in deep loops: the zoo, its loops made longer.

At this depth turns are left out, while most loops of the zoo as it is are kept whole.
"""

from __future__ import annotations

import sys

import parts
import pytest
import torch
from audits import audits_of, shared_out
from zoo import THEMES, Case, cases, theme_module

TURNS = 10
# Where what happens goes around in several turns, more are run before one says nothing new.
MORE_TURNS = {"nests": 12, "couplings": 12}
SHORTENED = ("readouts", "transitions", "gates", "penalties", "supervision")


@pytest.fixture(autouse=True)
def long_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the number of turns in the themes, which are run anew for every target."""
    torch.set_num_threads(1)
    monkeypatch.setattr(parts, "TURNS", TURNS)
    for theme in THEMES:  # other tests go on with the modules that they know
        monkeypatch.setitem(sys.modules, theme, theme_module(theme))


@pytest.mark.parametrize("case", shared_out(first=False))
def test_model_with_long_loops_is_judged_as_if_all_was_run(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "TURNS", MORE_TURNS.get(case.theme, TURNS))
    assert audits_of(case.path, case.function).facts


@pytest.mark.parametrize("theme", SHORTENED)
def test_turns_of_a_theme_are_left_out_and_counted(theme: str) -> None:
    case = next(case for case in cases() if case.theme == theme)
    audits = audits_of(case.path, case.function)
    assert TURNS in {loop.turns for loop in audits.facts.loops}
    assert audits.economical.graph.repeats
    assert audits.spared > 0
