"""The small models of ``tests/models`` that have a loss, and what the static verdict is of each."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_MODELS = Path(__file__).parents[2] / "tests" / "models"
# Rules that say that nothing restrains a state which training may lengthen.
_BLIND = {"SCL101", "SCL205"}
# Where one of these is found, the loss sees of the length what the rule says, or nobody knows.
_OPEN = {"SCL102", "SCL902", "SCL903"}


@cache
def idioms() -> dict[str, bool]:
    """Return whether each model is blind, by the verdict that its test expects.

    Models are left out that have no loss or no loop, or of which the theory leaves the verdict open.
    """
    found = {str(case): _is_blind(case.expect) for case in _table().cases() if _has_loss(case)}
    return {name: blind for name, blind in found.items() if blind is not None}


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


def _has_loss(case: Any) -> bool:  # noqa: ANN401 - a type of the table's own
    return bool(case.expect.states) and "loss" in case.build()


def _is_blind(expect: Any) -> bool | None:  # noqa: ANN401 - as above
    """Say what is expected; None where it is open."""
    codes, maybe = set(expect.codes.split()), set(expect.maybe.split())
    if maybe & (_BLIND | _OPEN) or codes & _OPEN or "unknown" in expect.verdict:
        return None
    return bool(codes & _BLIND)
