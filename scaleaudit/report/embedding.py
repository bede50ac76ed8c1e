"""The results as JSON in a page, and back from it."""

from __future__ import annotations

import json

from scaleaudit.report.encoding import Json, whole_document

_OPENING = '<script type="application/json" id="scaleaudit-results">'
_CLOSING = "</script>"
# As the HTML standard has it, nothing that could end a script or begin a comment may stand in one.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def embedded(document: Json) -> str:
    """Write a document as an element that a browser does not run, and nothing in it can end."""
    text = json.dumps(whole_document(document), separators=(",", ":"), allow_nan=False)
    return f"{_OPENING}{text.translate(_ESCAPES)}{_CLOSING}"


def is_page(text: str) -> bool:
    """Tell whether a text is a page and no JSON."""
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def results_in(page: str) -> str | None:
    """Return the JSON in a page; None where there is none."""
    _, opening, rest = page.partition(_OPENING)
    text, closing, _ = rest.partition(_CLOSING)
    return text if opening and closing else None
