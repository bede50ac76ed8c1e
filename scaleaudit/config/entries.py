"""Targets declared in ``[[tool.scaleaudit.targets]]``, so that the model's file stays as it is.

An entry becomes a plan: what to build and what to call it with, as Python expressions.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from pathlib import Path

from scaleaudit.config.inputs import input_text
from scaleaudit.config.places import Place
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.plans import Plan

_KEYS = ("path", "factory", "name", "arguments", "inputs", "loss")
EXAMPLE = (
    'An entry is path = "model.py", factory = "Model", arguments = {width = 64}, '
    'inputs = [{shape = [2, 16], dtype = "int64", high = 256}], loss = "compute_loss".'
)


def read_entries(value: object, place: Place) -> tuple[Plan, ...]:
    """Turn the list of entries into plans.

    Raises:
        ConfigError: An entry holds what it may not; says where and what is right.
    """
    place = place.explained(EXAMPLE)
    if not isinstance(value, list):
        raise place.error(f"must be a list of tables, not {value!r}")
    return tuple(_plan(entry, place.at(i)) for i, entry in enumerate(value))


def _plan(entry: object, place: Place) -> Plan:
    if not isinstance(entry, dict):
        raise place.error(f"must be a table, not {entry!r}")
    for key in entry:
        if key not in _KEYS:
            raise place.error(f"has the unknown key {key!r}{did_you_mean(str(key), _KEYS)}")
    factory = _dotted(entry, "factory", place)
    args, kwargs = _inputs(entry.get("inputs"), place.at("inputs"))
    loss = _dotted(entry, "loss", place) if "loss" in entry else ""
    return Plan(
        path=str(_path(entry, place)),
        name=_text(entry, "name", place) if "name" in entry else factory,
        model=f"{factory}({_arguments(entry.get('arguments', {}), place.at('arguments'))})",
        args=args,
        kwargs=kwargs,
        loss=loss,
        loss_args=(args or ()) if loss else (),
        where=f"{place.file.name}: {place.key}",
    )


def _path(entry: Mapping[str, object], place: Place) -> Path:
    path = place.file.parent / _text(entry, "path", place)
    if not path.is_file():
        raise place.at("path").error(
            f"names {entry['path']!r}, and there is no such file in {place.file.parent}",
            f"paths are relative to the folder of {place.file.name}",
        )
    return path


def _text(entry: Mapping[str, object], key: str, place: Place) -> str:
    if key not in entry:
        raise place.error(f"has no {key!r}")
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise place.at(key).error(f"must be a string, not {value!r}")
    return value


def _dotted(entry: Mapping[str, object], key: str, place: Place) -> str:
    name = _text(entry, key, place)
    if not is_dotted(name):
        raise place.at(key).error(f"must be a name as 'Model' or 'Model.tiny', not {name!r}")
    return name


def is_dotted(name: str) -> bool:
    """Tell whether a text is a name, or names with dots between."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split("."))


def _inputs(
    value: object, place: Place
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, str], ...]]:
    match value:
        case None:
            return None, ()
        case list():
            return tuple(input_text(item, place.at(i)) for i, item in enumerate(value)), ()
        case dict():
            _check_names(value, place)
            return (), tuple((key, input_text(item, place.at(key))) for key, item in value.items())
        case _:
            pass
    raise place.error(f"must be a list of tables or a table of them by name, not {value!r}")


def _check_names(table: Mapping[str, object], place: Place) -> None:
    if "shape" in table:
        raise place.error("is a single input; put it into a list: inputs = [{shape = ...}]")
    for name in table:
        if not name.isidentifier():
            raise place.error(f"has {name!r}, which is no name of a parameter")


def _arguments(value: object, place: Place) -> str:
    match value:
        case list():
            return ", ".join(argument_text(item, place.at(i)) for i, item in enumerate(value))
        case dict():
            _check_names({k: v for k, v in value.items() if k != "shape"}, place)
            texts = (f"{key}={argument_text(item, place.at(key))}" for key, item in value.items())
            return ", ".join(texts)
        case _:
            pass
    raise place.error(f"must be a table of keyword arguments, not {value!r}")


def argument_text(value: object, place: Place) -> str:
    """Write an argument of a factory as source."""
    match value:
        case dict() if "factory" in value:
            unknown = [key for key in value if key not in {"factory", "arguments"}]
            if unknown:
                raise place.error(
                    f"has {unknown[0]!r} beside 'factory'"
                    f"{did_you_mean(unknown[0], ['arguments'])}; put it under 'arguments'"
                )
            inner = _arguments(value.get("arguments", {}), place.at("arguments"))
            return f"{_dotted(value, 'factory', place)}({inner})"
        case {"object": str(name), **rest} if not rest and is_dotted(name):
            return name
        case dict():
            texts = (
                f"{key!r}: {argument_text(item, place.at(key))}" for key, item in value.items()
            )
            return "{" + ", ".join(texts) + "}"
        case list():
            return (
                f"[{', '.join(argument_text(item, place.at(i)) for i, item in enumerate(value))}]"
            )
        case str() | bool() | int() | float():
            return repr(value) if not isinstance(value, float) else f"float({str(value)!r})"
        case _:
            pass
    raise place.error(f"cannot be {value!r}")
