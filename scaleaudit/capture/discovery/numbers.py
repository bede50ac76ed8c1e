"""Integers for a constructor that nobody has given any, found by building with several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TypeAlias

from torch import nn

Numbers: TypeAlias = tuple[int, ...]
# Builds with some numbers; None where that fails.
Build: TypeAlias = Callable[[Numbers], nn.Module | None]

# Powers of two share divisors; small ones are cheap.
_BASES = (8, 16, 32, 4, 64, 2)
# Sizes that differ and are multiples of what heads and groups are likely to be.
_SIZES = (32, 48, 64, 80, 96, 112, 128, 144, 160)
_COUNT, _NEUTRAL = 2, 4


class _Role(Enum):
    """What a number decides in a model: how many modules, how large weights, neither."""

    COUNT = _COUNT
    NEUTRAL = _NEUTRAL
    SIZE = 0


def fitting_numbers(build: Build, count: int) -> Iterator[Numbers]:
    """Yield numbers that a model can be built of, distinct sizes first, few modules."""
    for base in _BASES:
        uniform = (base,) * count
        model = build(uniform)
        if model is None:
            continue
        roles = [_role(build, uniform, place, model) for place in range(count)]
        for sizes in (_SIZES, (_SIZES[0],) * len(_SIZES)):
            numbers = _assigned(roles, sizes)
            if build(numbers) is not None:
                yield numbers
        yield uniform
        return


def _role(build: Build, numbers: Numbers, place: int, model: nn.Module) -> _Role:
    """Tell what a number decides by doubling it."""
    other = build((*numbers[:place], 2 * numbers[place], *numbers[place + 1 :]))
    if other is None:
        return _Role.SIZE
    if len(list(other.modules())) != len(list(model.modules())):
        return _Role.COUNT
    return _Role.NEUTRAL if _shapes(other) == _shapes(model) else _Role.SIZE


def _shapes(model: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in (*model.parameters(), *model.buffers())]


def _assigned(roles: list[_Role], sizes: Numbers) -> Numbers:
    left = iter(sizes * (1 + len(roles) // len(sizes)))
    return tuple(next(left) if role is _Role.SIZE else role.value for role in roles)
