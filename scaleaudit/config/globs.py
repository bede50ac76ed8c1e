"""Patterns of file names, as ruff has them: `*` crosses folders, `!` in front negates."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

# What has a meaning inside the brackets of a regular expression, but not in those of a pattern.
_SPECIAL = re.compile(r"[\\\[\]^&|~]")
_BRACES = re.compile(r"\{([^{}]*)\}")


def matches(pattern: str, path: Path, folder: Path) -> bool:
    """Tell whether a file is meant by a pattern: by its name, or by its whole path.

    Args:
        pattern: With `*`, `?`, `[abc]`, `[!abc]`, `{one,other}`; relative ones start at the folder.
        path: The file.
        folder: Where the settings are that hold the pattern.
    """
    if pattern.startswith("!"):
        return not matches(pattern[1:], path, folder)
    absolute = os.path.normpath(folder / pattern)
    return bool(_compiled(pattern).fullmatch(path.name) or _compiled(absolute).fullmatch(str(path)))


def flaw_of(pattern: str) -> str:
    """Say what is wrong with a pattern; nothing where it can be used."""
    try:
        _compiled(pattern.removeprefix("!"))
    except re.error as error:
        return str(error)
    return ""


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("|".join(_expression(each) for each in _alternatives(pattern)), re.DOTALL)


def _alternatives(pattern: str) -> list[str]:
    """Write a pattern out for every choice in braces."""
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    chosen = braces.group(1).split(",")
    return [each for word in chosen for each in _alternatives(f"{before}{word}{after}")]


def _expression(pattern: str) -> str:
    text, at = "", 0
    while at < len(pattern):
        token, at = _token(pattern, at)
        text += token
    return f"(?:{text})"


def _token(pattern: str, at: int) -> tuple[str, int]:
    """Translate what stands at a place of a pattern, and say where the next thing starts."""
    if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
        return "(?:.*/)?", at + 3
    char = pattern[at]
    if char == "*":
        return ".*", at + 1
    if char == "?":
        return ".", at + 1
    closing = pattern.find("]", at + 2)
    if char == "[" and closing > 0:
        negated = pattern[at + 1] in "!^"
        inner = _SPECIAL.sub(r"\\\g<0>", pattern[at + 1 + negated : closing])
        return f"[{'^' * negated}{inner}]", closing + 1
    return re.escape(char), at + 1
