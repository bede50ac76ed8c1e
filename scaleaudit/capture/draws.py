"""Random numbers that Python or numpy draws while a model runs, which no tensor shows.

``for _ in range(random.randint(1, 8))`` may turn once, and one turn is no loop. Runs are seeded,
so that audits repeat, and what was drawn from is compared before and after.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from scaleaudit.capture.places import is_user_file

_SETTLED = "scaleaudit.capture.settled"


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
        for module in _unsettled()
        if is_user_file(getattr(module, "__file__", None) or "<frozen")
    ]
    return [value for names in held for value in list(names.values()) if _is_generator(value)]


def _unsettled() -> list[ModuleType]:
    """Return the modules that may be the user's, without a look at the others."""
    names = list(itertools.takewhile(_SETTLED.__ne__, reversed(sys.modules)))
    return [sys.modules[name] for name in names]


def _is_generator(value: object) -> bool:
    kind = type(value)
    return isinstance(value, random.Random) or (
        kind.__module__.startswith("numpy.random") and kind.__name__ in {"Generator", "RandomState"}
    )


def _states(numpy: Any, own: list[Any]) -> list[Any]:
    """Return what would be drawn next, as values that can be compared."""
    shared = [] if numpy is None else [_plain(numpy.random.get_state())]
    return [random.getstate(), *shared, *map(_state, own)]


def _state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    bits = getattr(generator, "bit_generator", None)
    return _plain(generator.get_state() if bits is None else bits.state)


def _plain(state: Any) -> Any:
    """Return a state with bytes in the place of arrays, which are not equal but elementwise."""
    match state:
        case tuple():
            return tuple(map(_plain, state))
        case dict():
            return {name: _plain(part) for name, part in state.items()}
        case _:
            return state.tobytes() if hasattr(state, "tobytes") else state
