"""What a parameter of a forward may be given, the likeliest first."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as SequenceType
from typing import Any, Union

import torch

from scaleaudit.capture.discovery.leaves import (
    BATCH,
    LENGTH,
    SIDE,
    Fields,
    Floats,
    Ints,
    Leaf,
    Ones,
    Plain,
    Sequence,
    Slot,
)
from scaleaudit.capture.discovery.measures import Measures
from scaleaudit.capture.discovery.signatures import Asked

_DEEPEST = 2
_WIDTHS_OF_STATES = 4


def menu(asked: Asked, measures: Measures, depth: int = 0) -> list[Leaf]:
    """Return what may be given for a parameter, by its type, by what is read of it, by trying."""
    is_dict = typing.get_origin(asked.kind) is dict or asked.kind is dict
    if (asked.keys or is_dict) and depth < _DEEPEST:
        entries = {key: _slot(key, measures, depth) for key in asked.keys}
        return [Fields(entries), *_of_any_kind(measures)]
    found = list(_of_kind(asked.kind, measures, depth))
    if found:
        return found
    if asked.attributes and not asked.called and depth < _DEEPEST:
        entries = {key: _slot(key, measures, depth) for key in asked.attributes}
        namespace = "__import__('types').SimpleNamespace"
        return [*_of_any_kind(measures), Fields(entries, namespace)]
    return list(_of_any_kind(measures))


def entry(measures: Measures) -> Slot:
    """Return a place for an entry of a dict that was missed."""
    return Slot(list(_of_any_kind(measures)))


def _slot(name: str, measures: Measures, depth: int) -> Slot:
    return Slot(menu(Asked(name, required=True), measures, depth + 1))


def _of_kind(kind: Any, measures: Measures, depth: int) -> Iterator[Leaf]:
    """Yield what an annotation allows; nothing where it says nothing."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is int:
        yield from (Plain("3"), Plain("1"), Plain("4"), Plain("2"), Plain("8"), Plain("0"))
    elif kind is float:
        yield from (Plain("0.5"), Plain("1.0"))
    elif kind is bool:
        yield from (Plain("False"), Plain("True"))
    elif isinstance(kind, type) and issubclass(kind, torch.Tensor):
        yield from _tensors(measures)
    elif origin in (Union, types.UnionType):
        for part in inner:
            yield from _of_kind(part, measures, depth)
        if type(None) in inner:
            yield Plain("None")
    elif depth < _DEEPEST:
        yield from _of_container(kind, origin, inner, measures, depth)


def _of_container(
    kind: Any, origin: Any, inner: tuple[Any, ...], measures: Measures, depth: int
) -> Iterator[Leaf]:
    if origin is tuple and Ellipsis not in inner:
        menus = [list(_of_kind(part, measures, depth + 1)) for part in inner]
        for items in zip(*menus, strict=False):
            yield Sequence(items)
    elif origin in (list, tuple, SequenceType) and inner:
        brackets = "()" if origin is tuple else "[]"
        for leaf in _of_kind(inner[0], measures, depth + 1):
            yield Sequence((leaf, leaf), brackets)
    elif isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")):
        yield _record(kind, measures, depth)


def _record(kind: type, measures: Measures, depth: int) -> Leaf:
    """Return a dataclass or named tuple of tensors, its required fields filled."""
    try:
        kinds: Mapping[str, Any] = typing.get_type_hints(kind)
    except Exception:  # noqa: BLE001 - annotations may name what was never imported
        kinds = {}
    names = getattr(kind, "_fields", None) or [
        field.name
        for field in dataclasses.fields(kind)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    entries = {
        name: Slot(menu(Asked(name, required=True, kind=kinds.get(name)), measures, depth + 1))
        for name in names
    }
    return Fields(entries, kind.__qualname__)


def _of_any_kind(measures: Measures) -> Iterator[Leaf]:
    yield from _tensors(measures)
    yield from (Plain("3"), Plain("0.5"), Plain("None"), Plain("True"), Plain("False"))
    yield from _states(measures)


def _tensors(measures: Measures) -> Iterator[Leaf]:
    """Yield tensors, those first that little else would be taken for."""
    if 2 in measures.convolves:  # noqa: PLR2004
        yield from _images(measures)
    for tracks in measures.tracks:
        yield Floats((BATCH, tracks, LENGTH))
    yield Ints((BATCH, LENGTH))
    for width in measures.features:
        yield Floats((BATCH, LENGTH, width))
    for width in measures.features:
        yield Floats((BATCH, width))
    if 2 not in measures.convolves:  # noqa: PLR2004
        yield from _images(measures)
    yield from (Ints((BATCH,)), Floats((BATCH,), uniform=True), Floats((BATCH, LENGTH)))
    yield from (Floats((BATCH, 1)), Floats((BATCH, LENGTH, 1)))
    yield from (Ones((BATCH, LENGTH)), Ones((LENGTH, LENGTH)), Ones((BATCH, LENGTH), "float32"))
    yield from (Ones((LENGTH, LENGTH), "float32"), Floats((BATCH, LENGTH, LENGTH)))
    yield from (Ints((2, 3 * 7)), Ints((LENGTH,)), Floats((LENGTH,)))
    for width in measures.features:
        yield Floats((LENGTH, width))
    for width in measures.features:
        yield from (Floats((LENGTH, BATCH, width)), Floats((BATCH, width, LENGTH)))
    for width in measures.features:
        yield from (Floats((1, BATCH, width)), Floats((width,)))
    yield from (Floats((BATCH, width, SIDE, SIDE)) for width in measures.features[:6])


def _images(measures: Measures) -> Iterator[Leaf]:
    for channels in measures.channels:
        yield Floats((BATCH, channels, SIDE, SIDE))
    for channels in measures.channels[:2]:
        yield Floats((BATCH, SIDE, SIDE, channels))


def _states(measures: Measures) -> Iterator[Leaf]:
    """Yield pairs, as recurrent cells carry them."""
    for width in measures.features[:_WIDTHS_OF_STATES]:
        for shape in ((BATCH, width), (1, BATCH, width), (BATCH, LENGTH, width)):
            yield Sequence((Floats(shape), Floats(shape)))
    for width in measures.features[:_WIDTHS_OF_STATES]:
        yield Sequence((Floats((BATCH, width)), Floats((BATCH, width))), "[]")
