"""Reading MessagePack and JSON into the project's own types, from any thread."""

from __future__ import annotations

import threading
from typing import Any, TypeAlias, TypeVar

import msgspec

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_Value = TypeVar("_Value")

# msgspec notes on a class how it is read, and another thread that meets the class while the note
# is half written takes the process down. So decoders are made one at a time, and kept.
_making = threading.Lock()
_packed: dict[object, msgspec.msgpack.Decoder[Any]] = {}
_json: dict[object, msgspec.json.Decoder[Any]] = {}


def read_packed(data: bytes, expected: type[_Value]) -> _Value:
    """Read MessagePack.

    Raises:
        msgspec.DecodeError: It is no such value.
        UnicodeDecodeError: Some text in it is none.
    """
    with _making:
        if expected not in _packed:
            _packed[expected] = msgspec.msgpack.Decoder(expected)
        decoder: msgspec.msgpack.Decoder[_Value] = _packed[expected]
    return decoder.decode(data)


def read_json(text: str, expected: type[_Value]) -> _Value:
    """Read JSON.

    Raises:
        msgspec.DecodeError: It is no such value.
        UnicodeEncodeError: Some text in it is none.
    """
    with _making:
        if expected not in _json:
            _json[expected] = msgspec.json.Decoder(expected)
        decoder: msgspec.json.Decoder[_Value] = _json[expected]
    return decoder.decode(text)
