"""Copies of frozen values with some fields changed, which laws make by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, cast

from scaleaudit.domain.scale import Scale

_T = TypeVar("_T")
_Reader = Callable[[object], tuple[object, ...]]


def _replace(value: _T, /, **changes: object) -> _T:
    """Do what ``dataclasses.replace`` does, for classes that are nothing but their fields."""
    if isinstance(value, Scale):
        return cast("_T", _changed(value, changes))
    read, places = _layout(cast("Hashable", type(value)))
    values = list(read(value))
    for name, change in changes.items():
        values[places[name]] = change
    return type(value)(*values)


@cache
def _layout(kind: type) -> tuple[_Reader, Mapping[str, int]]:
    """How to read all fields of a dataclass at once, and which place each has."""
    names = [field.name for field in fields(kind)]
    return attrgetter(*names), {name: place for place, name in enumerate(names)}


def _changed(value: Scale, changes: Mapping[str, object]) -> Scale:
    """Copy a scale by its fields; the form that was made from them is not taken along."""
    copied = object.__new__(Scale)
    held = copied.__dict__
    held.update(value.__dict__)
    held.pop("form", None)
    held.update(changes)
    return copied


if TYPE_CHECKING:  # the checker is told which fields there are
    from dataclasses import replace as replace  # noqa: PLC0414 - for other modules
else:
    replace = _replace
