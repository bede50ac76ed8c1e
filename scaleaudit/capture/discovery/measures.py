"""The numbers that a model is built of: widths, lengths, channels and sides worth trying."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

# Small, distinct from each other, and not what a batch of two could be taken for.
_LENGTHS = (16, 24, 12, 40)
_SIDES = (32, 28, 16, 64, 24, 8, 224)
_CHANNELS = (3, 1)
_MOST = 12
_LONGEST = 4096
_IMAGE_WEIGHT, _SEQUENCE_WEIGHT = 4, 3


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes that a model's weights and settings suggest, the likeliest first.

    Attributes:
        features: Sizes of a last axis.
        lengths: Lengths of a sequence, first those that nothing in the model has.
        sides: Sides of an image.
        channels: Channels of images; those of two-dimensional convolutions first.
        convolves: In how many dimensions the model convolves.
    """

    features: tuple[int, ...]
    lengths: tuple[int, ...]
    sides: tuple[int, ...]
    channels: tuple[int, ...]
    tracks: tuple[int, ...]
    convolves: frozenset[int]


def measures_of(model: nn.Module) -> Measures:
    """Read the sizes off a model."""
    shapes = [tuple(int(n) for n in p.shape) for p in (*model.parameters(), *model.buffers())]
    numbers = _unique(_settings(model), most=4 * _MOST)
    known = {n for shape in shapes for n in shape} | set(numbers)
    counts = _unique((n for shape in shapes for n in _counts(shape)), most=4 * _MOST)
    strides = _strides(model)
    fresh = [n for n in _LENGTHS if n not in known] or [max(known) + 1]
    return Measures(
        features=_unique((*_widths(shapes), *numbers, *_all(shapes)), most=_MOST),
        lengths=_unique(
            (*fresh, *_LENGTHS, 8, *_around(numbers), *_around(counts)), most=3 * _MOST
        ),
        sides=_unique(
            (*_tiled(counts, strides), *(n for n in numbers if n in counts or n > 4), *_SIDES),  # noqa: PLR2004
            most=_MOST,
        ),
        channels=_unique((*_inner(model, nn.Conv2d), *_CHANNELS), most=4),
        tracks=_unique(_inner(model, nn.Conv1d), most=4),
        convolves=frozenset(d for d, kind in ((1, nn.Conv1d), (2, nn.Conv2d)) if _has(model, kind)),
    )


def _unique(numbers: Iterable[int], *, most: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(n for n in numbers if 0 < n <= _LONGEST))[:most]


def _widths(shapes: list[tuple[int, ...]]) -> Iterator[int]:
    """Yield what the weights take in, in the order in which they were made."""
    for shape in shapes:
        if len(shape) in (1, 2, 3):
            yield shape[-1]


def _all(shapes: list[tuple[int, ...]]) -> Iterator[int]:
    return (n for shape in shapes for n in shape)


def _counts(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes that may count positions: all but the features."""
    return shape[:-1] if len(shape) > 1 else ()


def _around(numbers: Iterable[int]) -> Iterator[int]:
    """Yield numbers, and one less: a token of the model's own may have a position too."""
    for n in numbers:
        yield n
        yield n - 1


def _settings(model: nn.Module) -> Iterator[int]:
    """Yield the integers that modules keep."""
    for module in model.modules():
        for value in vars(module).values():
            for item in value if isinstance(value, (tuple, list)) else (value,):
                if isinstance(item, int) and not isinstance(item, bool) and item > 1:
                    yield item


def _strides(model: nn.Module) -> tuple[int, ...]:
    found = [m.stride[0] for m in model.modules() if isinstance(m, nn.Conv2d)]
    return tuple(dict.fromkeys(int(n) for n in found)) or (1,)


def _tiled(counts: Iterable[int], strides: tuple[int, ...]) -> Iterator[int]:
    """Yield the sides of images whose patches are as many as the positions that a model knows."""
    for count in counts:
        for patches in (count, count - 1):
            side = math.isqrt(max(patches, 0))
            if side > 1 and side * side == patches:
                yield from (side * stride for stride in strides)


def _has(model: nn.Module, kind: type[nn.Module]) -> bool:
    return any(isinstance(module, kind) for module in model.modules())


def _inner(model: nn.Module, kind: type[nn.Conv1d | nn.Conv2d]) -> Iterator[int]:
    return (int(m.in_channels) for m in model.modules() if isinstance(m, kind))
