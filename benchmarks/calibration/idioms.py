"""The small models of ``tests/models`` that have a loss, and what the analysis says of each."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_MODELS = Path(__file__).parents[2] / "tests" / "models"
# The rule that says that nothing restrains a state which training may lengthen.
_BLIND = "SCL101"
# Where one of these is found, the loss sees of the length what the rule says, or nobody knows.
_OPEN = {"SCL102", "SCL902", "SCL903"}
# States that may become longer, and losses that do not see it.
_MOVES = {"carried", "expanding", "linear", "damped"}
_UNSEEN = {"invariant", "asymptotic", "saturating"}


@cache
def idioms() -> dict[str, bool | None]:
    """Return whether each model is blind, by what its test expects; None where either verdict fits.

    Models are left out that have no loss, those that need have no loop, and those of which the theory
    leaves the verdict open.
    """
    cases = [case for case in _table().cases() if _has_verdict(case.expect)]
    return {str(case): _is_blind(case.expect) for case in cases if "loss" in case.build()}


def place_of(name: str) -> tuple[Path, str]:
    """Return the file of a model and the function that declares it."""
    (case,) = (case for case in _table().cases() if str(case) == name)
    return case.path, case.function


@cache
def _table() -> ModuleType:
    """The table of the models, which finds its own siblings."""
    spec = importlib.util.spec_from_file_location("zoo", _MODELS / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # where its dataclasses look for it
    spec.loader.exec_module(found)
    return found


def _has_verdict(expect: Any) -> bool:  # noqa: ANN401 - a type of the table's own
    codes, maybe = set(expect.codes.split()), set(expect.maybe.split())
    is_open = maybe & {_BLIND, *_OPEN} or codes & _OPEN or "unknown" in expect.verdict
    return bool(expect.states) and 0 not in expect.loops and not is_open


def _is_blind(expect: Any) -> bool | None:  # noqa: ANN401 - as above
    """Say what is expected.

    Of states that are damped, or carried by no weight, and that no loss sees the analysis says that
    they may become longer, and calls that no error: training may show either.
    """
    if _BLIND in expect.codes.split():
        return True
    moves = (
        set(state.transition.split("|")) & _MOVES and set(state.visibility.split("|")) & _UNSEEN
        for state in expect.states
        if not state.effective
    )
    return None if any(moves) else False
