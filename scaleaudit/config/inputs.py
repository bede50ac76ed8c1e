"""Inputs of a target, as settings describe them: shapes, dtypes and ranges become expressions."""

from __future__ import annotations

from collections.abc import Mapping

from scaleaudit.config.places import Place
from scaleaudit.config.words import did_you_mean

_INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
_FLOATS = ("float32", "float64", "float16", "bfloat16", "complex64")
_DTYPES = (*_INTEGERS, *_FLOATS, "bool")
_KEYS = ("shape", "dtype", "low", "high")
_EXAMPLE = (
    'An input is {shape = [2, 16], dtype = "int64", low = 0, high = 256}, {value = 3}, '
    "{none = true}, or a list or table of these."
)
# Integers are drawn below this where nothing is said.
_HIGH = 2


def input_text(value: object, place: Place) -> str:
    """Write an input as source."""
    match value:
        case dict() if "shape" in value:
            return _tensor(value, place)
        case {"value": literal, **rest} if not rest:
            if not isinstance(literal, (str, int, float, bool, list)):
                raise place.at("value").error(f"must be a plain value, not {literal!r}", _EXAMPLE)
            return repr(literal)
        case {"none": True, **rest} if not rest:
            return "None"
        case dict():
            _check_entries(value, place)
            inner = (f"{key!r}: {input_text(item, place.at(key))}" for key, item in value.items())
            return "{" + ", ".join(inner) + "}"
        case list():
            texts = [input_text(item, place.at(i)) for i, item in enumerate(value)]
            return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
        case bool() | int() | float() | str():
            return repr(value)
        case _:
            pass
    raise place.error(f"cannot be {value!r}", _EXAMPLE)


def _check_entries(table: Mapping[str, object], place: Place) -> None:
    """Tell a dict of tensors from a tensor whose keys are misspelt."""
    if not table:
        raise place.error("is empty", _EXAMPLE)
    for key, item in table.items():
        meant = did_you_mean(key, ("shape", "value", "none"))
        if not isinstance(item, dict) and (meant or key in _KEYS):
            raise place.error(f"has no 'shape', but {key!r}{meant}", _EXAMPLE)


def _tensor(table: Mapping[str, object], place: Place) -> str:
    for key in table:
        if key not in _KEYS:
            raise place.error(f"has the unknown key {key!r}{did_you_mean(key, _KEYS)}", _EXAMPLE)
    shape = _shape(table["shape"], place.at("shape"))
    low, high = (_number(table, key, place) for key in ("low", "high"))
    dtype = table.get("dtype", "float32" if high is None and low is None else "int64")
    if dtype not in _DTYPES:
        problem = f"is no dtype: {dtype!r}{did_you_mean(str(dtype), _DTYPES)}"
        raise place.at("dtype").error(problem, f"known are {', '.join(_DTYPES)}")
    if low is not None and high is not None and low >= high:
        raise place.at("high").error(f"must be greater than low, {high!r} is not", _EXAMPLE)
    return _drawn(shape, str(dtype), low, high)


def _drawn(shape: str, dtype: str, low: float | None, high: float | None) -> str:
    kind = f"dtype=torch.{dtype}"
    if dtype == "bool":
        return f"torch.ones({shape}, {kind})"
    if dtype in _INTEGERS:
        first = int(low or 0)
        last = first + _HIGH if high is None else int(high)
        return f"torch.randint({first}, {last}, {shape}, {kind})"
    if low is None and high is None:
        return f"torch.randn({shape}, {kind})"
    first_value = low or 0
    last_value = first_value + 1 if high is None else high
    return f"({first_value!r} + {last_value - first_value!r} * torch.rand({shape}, {kind}))"


def _shape(value: object, place: Place) -> str:
    if not isinstance(value, list) or not all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value
    ):
        raise place.error(f"must be a list of sizes as [2, 16], not {value!r}", _EXAMPLE)
    return f"({', '.join(map(str, value))}{',' if len(value) == 1 else ''})"


def _number(table: Mapping[str, object], key: str, place: Place) -> float | None:
    value = table.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise place.at(key).error(f"must be a number, not {value!r}", _EXAMPLE)
    return value
