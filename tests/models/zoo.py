"""The zoo as a table: every case of every theme, with what is expected of it."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # themes import `expect` and `parts` as their siblings
    sys.path.insert(0, str(HERE))

from expect import Expect  # noqa: E402

THEMES = (
    "readouts",
    "transitions",
    "branches",
    "gates",
    "norms",
    "penalties",
    "supervision",
    "sharing",
    "tying",
    "inputs",
    "cells",
    "two_states",
    "gradients",
    "habits",
    "programs",
    "attentions",
    "nests",
    "arguments",
    "one_shots",
    "cells_in_time",
    "sequence_modules",
    "refinement",
    "explicit",
    "statespace",
    "scans",
    "halting",
    "equilibria",
    "routing",
    "couplings",
    "parametrised",
    "encoder_layers",
    "caches",
    "lookalikes",
    "zero_starts",
    "solvers",
    "rearranged",
    "styles",
    "segments",
    "custom_operators",
    "targets",
    "pondering",
    "loss_heads",
    "distances",
    "truncated",
    "injections",
    "experts",
    "low_rank",
    "scaled_residuals",
    "tied_encoders",
    "streams",
    "earlier_turns",
    "memory_tokens",
    "value_residuals",
    "positions",
)
PREFIX = "scaleaudit_target_"


@dataclass(frozen=True, slots=True)
class Case:
    """A target function of a theme and its expectation."""

    theme: str
    name: str
    expect: Expect

    @property
    def path(self) -> Path:
        return HERE / f"{self.theme}.py"

    @property
    def function(self) -> str:
        return PREFIX + self.name

    def build(self) -> dict[str, Any]:
        """Build the target in plain torch."""
        return getattr(theme_module(self.theme), self.function)()

    def __str__(self) -> str:
        return f"{self.theme}-{self.name}"


def theme_module(theme: str) -> ModuleType:
    return importlib.import_module(theme)


def cases() -> tuple[Case, ...]:
    return tuple(
        Case(theme, name, expect)
        for theme in THEMES
        for name, expect in theme_module(theme).EXPECT.items()
    )
