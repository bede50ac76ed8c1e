"""JSON and XML that every reader takes, whatever text a model put into its names."""

from __future__ import annotations

import json
from urllib.parse import quote

from scaleaudit.wire import Json as Json  # noqa: PLC0414  # of those that import it from here

# Production 2 of XML 1.0: Char.
_XML = (
    *(range(code, code + 1) for code in (0x9, 0xA, 0xD)),
    range(0x20, 0xD800),
    range(0xE000, 0xFFFE),
    range(0x10000, 0x110000),
)


def json_text(document: Json) -> str:
    """Write a document as JSON in ASCII; half of a surrogate pair, which is no text, is replaced."""
    return json.dumps(whole_document(document), indent=2, allow_nan=False) + "\n"


def whole_document(value: Json) -> Json:
    """Replace what cannot be encoded in all text of a document."""
    match value:
        case str():
            return whole(value)
        case list():
            return [whole_document(item) for item in value]
        case dict():
            return {whole(key): whole_document(item) for key, item in value.items()}
        case _:
            return value


def whole(text: str) -> str:
    """Replace what cannot be encoded: half of a surrogate pair."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def xml_text(text: str) -> str:
    """Drop the characters that XML 1.0 has no place for, not even escaped."""
    return "".join(char for char in text if _is_xml(ord(char)))


def _is_xml(code: int) -> bool:
    return any(code in span for span in _XML)


def uri_path(path: str) -> str:
    """Write a path as that of a URI: everything but letters, digits and slashes encoded."""
    return quote(path.encode(errors="surrogateescape") if _named(path) else whole(path), safe="/")


def _named(path: str) -> bool:
    """Whether all that is no text in a path stands for bytes of a file's name (PEP 383)."""
    return all(not "\ud800" <= char <= "\udfff" or "\udc80" <= char <= "\udcff" for char in path)
