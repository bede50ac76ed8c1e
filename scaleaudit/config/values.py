"""Readers of values that several keys share: words, flags, numbers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeVar, cast

from scaleaudit.config.places import Place
from scaleaudit.config.words import did_you_mean

_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=Enum)
Reader = Callable[[object, Place], _Value]


def word(kind: type[_Choice]) -> Reader[_Choice]:
    """Read one of a few words."""
    words = [str(choice.value) for choice in kind]

    def read(value: object, place: Place) -> _Choice:
        if value not in words:
            meant = did_you_mean(str(value), words)
            raise place.error(f"must be one of {', '.join(words)}, not {value!r}{meant}")
        return kind(value)

    return read


def flag(value: object, place: Place) -> bool:
    """Read yes or no."""
    if not isinstance(value, bool):
        raise place.error(f"must be true or false, not {value!r}")
    return value


def number(least: float, most: float, *, whole: bool = False) -> Reader[float]:
    """Read a number within bounds."""
    kind = "a whole number" if whole else "a number"

    def read(value: object, place: Place) -> float:
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fits or not least <= cast("float", value) <= most:
            raise place.error(f"must be {kind} from {least:g} to {most:g}, not {value!r}")
        return cast("float", value)

    return read
