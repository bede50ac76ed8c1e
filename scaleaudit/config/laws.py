"""Laws of operators declared in ``[[tool.scaleaudit.laws]]``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scaleaudit.config.places import Place
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.laws import DeclaredLaw, flaw_of, operator_name

_KEYS = ("operator", "degree", "degrees", "bounded", "like", "limit")
_OPERATOR = re.compile(r"\w+(::|\.)\w+(\.\w+)?")
EXAMPLE = (
    'A law is operator = "mylib::rmsnorm", degree = 0, or degrees = {x = 0, weight = 1}, or '
    'bounded = [-1, 1], or like = "aten.silu".'
)


def read_laws(value: object, place: Place) -> tuple[DeclaredLaw, ...]:
    """Turn the list of laws into data.

    Raises:
        ConfigError: A law holds what it may not; says where and what is right.
    """
    place = place.explained(EXAMPLE)
    if not isinstance(value, list):
        raise place.error(f"must be a list of tables, not {value!r}")
    laws = tuple(_law(entry, place.at(i)) for i, entry in enumerate(value))
    for i, each in enumerate(laws):
        if each.operator in {earlier.operator for earlier in laws[:i]}:
            raise place.at(i).error(f"is a second law for {each.operator}")
    return laws


def _law(entry: object, place: Place) -> DeclaredLaw:
    if not isinstance(entry, dict):
        raise place.error(f"must be a table, not {entry!r}")
    for key in entry:
        if key not in _KEYS:
            meant = did_you_mean(str(key), _KEYS)
            raise place.error(f"has the unknown key {key!r}{meant}")
    limit = entry.get("limit", False)
    if not isinstance(limit, bool):
        raise place.at("limit").error(f"must be true or false, not {limit!r}")
    found = DeclaredLaw(
        operator=_operator(entry, "operator", place),
        where=f"{place.file.name}: {place.key}",
        degree=_number(entry["degree"], place.at("degree")) if "degree" in entry else None,
        degrees=_degrees(entry.get("degrees", {}), place.at("degrees")),
        bounded=_bounds(entry["bounded"], place.at("bounded")) if "bounded" in entry else None,
        like=_operator(entry, "like", place) if "like" in entry else "",
        limit=limit,
    )
    problem = flaw_of(found)
    if problem:
        raise place.error(f"is no law: {problem}")
    return found


def _operator(entry: Mapping[str, object], key: str, place: Place) -> str:
    if key not in entry:
        raise place.error(f"has no {key!r}")
    name = entry[key]
    if not isinstance(name, str) or not _OPERATOR.fullmatch(name):
        raise place.at(key).error(f"must be a name as 'mylib::rmsnorm', not {name!r}")
    return operator_name(name)


def _number(value: object, place: Place) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise place.error(f"must be a number, not {value!r}")
    return float(value)


def _degrees(value: object, place: Place) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict):
        raise place.error(f"must be a table of numbers by argument, not {value!r}")
    return tuple((name, _number(degree, place.at(name))) for name, degree in value.items())


def _bounds(value: object, place: Place) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a low and a high end
        raise place.error(f"must be [low, high], not {value!r}")
    low, high = (_number(end, place.at(i)) for i, end in enumerate(value))
    return low, high
