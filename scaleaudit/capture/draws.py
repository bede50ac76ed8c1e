"""Random numbers that Python or numpy draws while a model runs, which no tensor shows.

``for _ in range(random.randint(1, 8))`` may turn once, and one turn is no loop. Runs are seeded,
so that audits repeat, and what was drawn from is compared before and after.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from scaleaudit.capture.places import is_user_file


@dataclass(slots=True)
class Draws:
    """Whether any number was drawn outside of torch."""

    made: bool = False


@contextmanager
def seeded(seed: int, model: torch.nn.Module) -> Iterator[Draws]:
    """Seed what draws numbers, and tell afterwards whether it was asked for any."""
    draws = Draws()
    numpy = sys.modules.get("numpy")
    random.seed(seed)
    torch.manual_seed(seed)
    if numpy is not None:
        numpy.random.seed(seed)
    own = _generators(model)
    before = _states(numpy, own)
    with _watched_rng(numpy, seed, draws):
        yield draws
    draws.made = draws.made or _states(numpy, own) != before


@contextmanager
def _watched_rng(numpy: Any, seed: int, draws: Draws) -> Iterator[None]:
    """Seed the generators that are made on the way, too."""
    if numpy is None:
        yield
        return
    original = numpy.random.default_rng

    def default_rng(given: Any = None) -> Any:
        draws.made = draws.made or given is None
        return original(seed if given is None else given)

    numpy.random.default_rng = default_rng
    try:
        yield
    finally:
        numpy.random.default_rng = original


def _generators(model: torch.nn.Module) -> list[Any]:
    """Return the generators that the model or the user's files keep."""
    held = [vars(module) for module in model.modules()]
    held += [
        vars(module)
        for module in list(sys.modules.values())
        if is_user_file(getattr(module, "__file__", None) or "<frozen")
    ]
    return [value for names in held for value in list(names.values()) if _is_generator(value)]


def _is_generator(value: object) -> bool:
    kind = type(value)
    return isinstance(value, random.Random) or (
        kind.__module__.startswith("numpy.random") and kind.__name__ in {"Generator", "RandomState"}
    )


def _states(numpy: Any, own: list[Any]) -> list[str]:
    """Return what would be drawn next, as text that can be compared."""
    shared = [] if numpy is None else [repr(numpy.random.get_state())]
    return [repr(random.getstate()), *shared, *map(_state, own)]


def _state(generator: Any) -> str:
    if isinstance(generator, random.Random):
        return repr(generator.getstate())
    bits = getattr(generator, "bit_generator", None)
    return repr(generator.get_state() if bits is None else bits.state)
