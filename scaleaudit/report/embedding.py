"""The results as JSON in a page, and back from it."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass

import msgspec

from scaleaudit.report.encoding import Json, whole_document
from scaleaudit.wire import read_json

_OPENING = '<script type="application/json" id="scaleaudit-results">'
_CLOSING = "</script>"
# As the HTML standard has it, nothing that could end a script or begin a comment may stand in one.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
# Characters from which on results are packed, and the most that a pack may hold.
_LARGE, _MOST = 300_000, 1 << 30


@dataclass(frozen=True, slots=True)
class _Packed:
    deflated: str


def embedded(document: Json) -> str:
    """Write a document as an element that a browser does not run, and nothing in it can end.

    That of a very large report is an object whose only field, "deflated", has it in zlib's form
    and base64.
    """
    text = json.dumps(whole_document(document), separators=(",", ":"), allow_nan=False)
    if len(text) > _LARGE:
        packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        text = json.dumps({"deflated": packed})
    return f"{_OPENING}{text.translate(_ESCAPES)}{_CLOSING}"


def is_page(text: str) -> bool:
    """Tell whether a text is a page and no JSON."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def results_in(page: str) -> str | None:
    """Return the JSON in a page; None where there is none that is whole."""
    _, opening, rest = page.partition(_OPENING)
    text, closing, _ = rest.partition(_CLOSING)
    if not (opening and closing):
        return None
    return _unpacked(text) if text.startswith('{"deflated":') else text


def _unpacked(text: str) -> str | None:
    try:
        packed = base64.b64decode(read_json(text, _Packed).deflated, validate=True)
        reader = zlib.decompressobj()
        data = reader.decompress(packed, _MOST)
        return data.decode() if reader.eof else None
    except (msgspec.DecodeError, ValueError, zlib.error):
        return None
