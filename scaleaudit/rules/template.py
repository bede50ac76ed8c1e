"""Sentences with facts in braces: ``State `{state.name}` grows``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scaleaudit.rules.cel import Value

_HOLE = re.compile(r"\{([a-z_]+\.[a-z_]+)\}")


class TemplateError(Exception):
    """A sentence with braces that name no fact."""


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence and the facts that it names."""

    text: str
    mentions: tuple[str, ...]

    def render(self, values: Mapping[str, Value]) -> str:
        """Fill the facts in; one that is not known says so."""
        return _HOLE.sub(lambda hole: _written(values.get(hole.group(1))), self.text)


def parse(text: str) -> Template:
    """Read a sentence; line breaks in it are blanks.

    Raises:
        TemplateError: For a brace that opens or closes nothing.
    """
    sentence = " ".join(text.split())
    if match := re.search(r"[{}][^{}]*", _HOLE.sub("", sentence)):
        raise TemplateError(f"a brace that encloses no fact, near `{match.group()[:30]}`")
    return Template(sentence, tuple(dict.fromkeys(_HOLE.findall(sentence))))


def _written(value: Value | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
