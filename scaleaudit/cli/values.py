"""What flags take, more narrowly than click has it."""

from __future__ import annotations

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A range of numbers; NaN, which every range has room for otherwise, and infinity are in none."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click declares it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read a number."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return found


class Named(click.types.StringParamType):
    """A name, which is not empty."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click declares it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Read a name."""
        found: str = super().convert(value, param, ctx)
        if not found.strip():
            self.fail("it names nothing.", param, ctx)
        return found
