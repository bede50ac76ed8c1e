"""Makes the numbers of a configuration small, and keeps what divides what.

A configuration is a flat table of fields. What a number means is told from the words in its
field's name (a width, a count of heads, of layers, of experts, ...). Widths are divided by the
product of what counts of heads and widths of heads are divided by, so that
``heads * head_dim == width`` and the ratios between widths stay true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.zoo.meanings import Meaning, meaning_of

# What numbers are brought down to.
VOCABULARY = 256
LAYERS = 4
_STAGE_LAYERS = 2
_EXPERTS = 8
_CHOSEN_EXPERTS = 2
_EXPERT_GROUPS = 2
_POSITIONS = 512
_PERIOD = 2
_FEWEST_HEADS = 4
_NARROWEST_HEAD = 8
# Widths are multiples of this, since kernels ask for such.
_NARROWEST = 8
# Lists no longer than this say something of stages, longer ones of layers.
_STAGES = 4

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scheme:
    """By what the numbers of a configuration are divided.

    Attributes:
        heads: What counts of heads are divided by.
        head_width: What the width of a head is divided by.
        depth: The largest number of layers, which becomes LAYERS.
        narrows: Whether widths and heads are made smaller at all.
        is_even: Whether all numbers of layers become LAYERS, not what they are in proportion.
    """

    heads: int = 1
    head_width: int = 1
    depth: int = LAYERS
    narrows: bool = True
    is_even: bool = False

    @property
    def width(self) -> int:
        """What widths are divided by."""
        return self.heads * self.head_width


def scheme_of(fields: Fields) -> Scheme:
    """Choose the factors for a configuration, by its own heads and widths."""
    heads = _numbers(fields, Meaning.HEADS)
    most = max(heads, default=1)
    by_heads = min(_power_within([most], _FEWEST_HEADS), _power_within(heads, 1))
    widths = _numbers(fields, Meaning.WIDTH)
    main = _main_width(fields) or min((n for n in widths if n >= _NARROWEST), default=_NARROWEST)
    head_widths = [*_numbers(fields, Meaning.HEAD_WIDTH), main // max(most, _FEWEST_HEADS)]
    by_width = _power_within([n for n in head_widths if n >= _NARROWEST_HEAD], _NARROWEST_HEAD)
    depth = max(_numbers(fields, Meaning.LAYERS), default=LAYERS)
    return Scheme(1 if _has_stages(fields) else by_heads, by_width, depth)


def shrink(fields: Fields, scheme: Scheme) -> dict[str, Any]:
    """Return the fields that change, with their new values."""
    small = {name: _shrunk(meaning_of(name), v, scheme) for name, v in fields.items()}
    return {name: value for name, value in small.items() if value != fields[name]}


def _shrunk(meaning: Meaning, value: Any, scheme: Scheme) -> Any:
    if type(value) is int:
        return _SMALL.get(meaning, _same)(value, scheme)
    if isinstance(value, list):
        return _shrunk_list(meaning, value, scheme)
    return value


def _shrunk_list(meaning: Meaning, values: list[Any], scheme: Scheme) -> list[Any]:
    if len(values) == scheme.depth > _STAGES:
        values = values[:LAYERS]
    if not values or any(type(value) is not int for value in values):
        return values
    if meaning in {Meaning.LAYER_INDICES, Meaning.LAYERS} and values == sorted(set(values)):
        return [value for value in values if value < LAYERS] or [LAYERS - 1]
    small = _stage_layers if meaning is Meaning.LAYERS else _SMALL.get(meaning, _same)
    return [small(value, scheme) for value in values]


def _same(value: int, _: Scheme) -> int:
    return value


def _token(value: int, _: Scheme) -> int:
    """Keep special tokens apart from one another, in the last part of the vocabulary."""
    half = VOCABULARY // 2
    return value if value < half else half + value % half


def _capped(limit: int) -> Callable[[int, Scheme], int]:
    return lambda value, _: min(value, limit)


_stage_layers = _capped(_STAGE_LAYERS)


def _layers(value: int, scheme: Scheme) -> int:
    if scheme.is_even and value > 1:
        return LAYERS
    if value <= 0 or scheme.depth <= LAYERS:
        return value
    return max(1, round(value * LAYERS / scheme.depth))


def _heads(value: int, scheme: Scheme) -> int:
    return max(1, value // scheme.heads) if scheme.narrows and value > 0 else value


def _head_width(value: int, scheme: Scheme) -> int:
    if not scheme.narrows or value < _NARROWEST_HEAD:
        return value
    return max(_NARROWEST_HEAD, value // scheme.head_width)


def _width(value: int, scheme: Scheme) -> int:
    if not scheme.narrows or value <= _NARROWEST:
        return value
    multiples = -(-value // (scheme.width * _NARROWEST))
    return min(value, multiples * _NARROWEST)


_SMALL: Mapping[Meaning, Callable[[int, Scheme], int]] = {
    Meaning.TOKEN: _token,
    Meaning.VOCABULARY: _capped(VOCABULARY),
    Meaning.EXPERTS: _capped(_EXPERTS),
    Meaning.CHOSEN_EXPERTS: _capped(_CHOSEN_EXPERTS),
    Meaning.EXPERT_GROUPS: _capped(_EXPERT_GROUPS),
    Meaning.PERIOD: _capped(_PERIOD),
    Meaning.OFFSET: _capped(_PERIOD - 1),
    Meaning.POSITIONS: _capped(_POSITIONS),
    Meaning.STAGE_LAYERS: _stage_layers,
    Meaning.LAYERS: _layers,
    Meaning.HEADS: _heads,
    Meaning.HEAD_WIDTH: _head_width,
    Meaning.WIDTH: _width,
}


def _numbers(fields: Fields, meaning: Meaning) -> list[int]:
    """Return the positive numbers of one meaning, those in lists too."""
    found = [value for name, value in fields.items() if meaning_of(name) is meaning]
    flat = [n for value in found for n in (value if isinstance(value, Sequence) else [value])]
    return [n for n in flat if type(n) is int and n > 0]


def _has_stages(fields: Fields) -> bool:
    """Say whether heads are counted stage by stage, from very few up."""
    return any(
        isinstance(value, list)
        for name, value in fields.items()
        if meaning_of(name) is Meaning.HEADS
    )


def _main_width(fields: Fields) -> int:
    names = ("hidden_size", "d_model", "n_embd", "embed_dim")
    return next((fields[name] for name in names if type(fields.get(name)) is int), 0)


def _power_within(numbers: Iterable[int], least: int) -> int:
    """Return the largest power of two that divides all numbers above 1 and leaves at least so much."""
    numbers, factor = [n for n in numbers if n > 1], 1
    while numbers and all(n % (2 * factor) == 0 for n in numbers):
        if min(numbers) < 2 * factor * least:
            break
        factor *= 2
    return factor
