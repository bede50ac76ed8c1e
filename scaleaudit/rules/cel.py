"""Conditions in CEL, with three answers. The only home of the CEL library.

The library knows the type of every fact, so a misspelt one fails when a page is loaded, and it
gives up after a fixed number of iterations. What it leaves open is closed here: a missing fact
comes back as a truthy error value, ``has()`` of a fact gives its value, and ``dyn()`` switches the
types off. It reserves the word ``loop``, so that facts of loops go by another name inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

# The package ships a stub but no py.typed marker.
from cel_expr_python import cel  # type: ignore[import-untyped]

Value: TypeAlias = bool | int | float | str | tuple[str, ...]

MAXIMUM_LENGTH = 2_000  # characters; the longest condition of ours has some 200
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_COMMENT = re.compile(r"//[^\n]*")
_PATTERN = re.compile(rf"\.\s*matches\s*\(\s*({_STRING.pattern})\s*\)")
_REFUSED = re.compile(r"(?<![\w.])(has|dyn|type)\s*\(")
_NAME = re.compile(r"(?<![\w.])[a-z_]\w*(?:\s*\.\s*[a-z_]\w*)*")
# A name of the same length, so that places in a condition stay where they are.
_RESERVED, _INSIDE = "loop", "Loop"
_OF_LOOPS = re.compile(rf"(?<![\w.]){_RESERVED}(?=\s*\.)")
_CLUTTER = re.compile(r" \(in container ''\)|\s*\[[A-Z_]+\]?$")
_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class Answer(Enum):
    """What a condition says: only a real true fires, and a missing fact is neither."""

    FIRES = "fires"
    SILENT = "silent"
    UNKNOWN = "unknown"


class Kind(Enum):
    """The type of a fact."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    TEXT = "string"
    TEXTS = "list(string)"


_TYPES = {
    Kind.BOOL: cel.Type.BOOL,
    Kind.INT: cel.Type.INT,
    Kind.DOUBLE: cel.Type.DOUBLE,
    Kind.TEXT: cel.Type.STRING,
    Kind.TEXTS: cel.Type.List(cel.Type.STRING),
}


class CelError(Exception):
    """A condition that cannot be used; ``line`` counts from 1 within the condition."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition.

    Attributes:
        mentions: The facts it names.
        literals: The strings it compares them with.
    """

    source: str
    mentions: tuple[str, ...]
    literals: tuple[str, ...]
    _program: cel.Expression

    def ask(self, values: Mapping[str, Value]) -> Answer:
        """Answer for facts where the unknown ones are absent; && and || absorb what they can."""
        try:
            result = self._program.eval(data=_plain(values))
        except RuntimeError:  # the iteration budget is spent
            return Answer.UNKNOWN
        if result.type() != cel.Type.BOOL:
            return Answer.UNKNOWN
        return Answer.FIRES if result.value() is True else Answer.SILENT


class Vocabulary:
    """The names that conditions may use, with their types."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = dict(kinds)
        self._environment = cel.NewEnv(
            variables={_inside(name): _TYPES[kind] for name, kind in kinds.items()}
        )

    def compile(self, source: str) -> Condition:
        """Compile a condition that yields a boolean.

        Raises:
            CelError: For a syntax error, an undeclared name, a clash of types, or a condition
                that is no boolean, is too long, or uses what would hide a missing fact.
        """
        source = source.rstrip()
        blanked = _COMMENT.sub(_blank, _STRING.sub(_blank, source))
        _refuse(source, blanked)
        try:
            program = self._environment.compile(_renamed(source, blanked))
        except RuntimeError as error:
            raise _problem(str(error)) from None
        if program.return_type() != cel.Type.BOOL:
            raise CelError(f"the condition is a {program.return_type().name()}, not a boolean")
        mentions = self._mentions(blanked)
        self._check_patterns(source)
        literals = tuple(match.group()[1:-1] for match in _STRING.finditer(source))
        return Condition(source, mentions, literals, program)

    def _check_patterns(self, source: str) -> None:
        """Refuse a regular expression that is none, or too large a one, which has no answer ever."""
        for match in _PATTERN.finditer(source):
            tried = self._environment.compile(f"''.matches({match.group(1)})").eval(data={})
            if tried.type() != cel.Type.BOOL:
                line = source.count("\n", 0, match.start()) + 1
                raise CelError(f"{match.group(1)} is no regular expression of RE2", line)

    def _mentions(self, blanked: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for match in _NAME.finditer(blanked):
            name = re.sub(r"\s", "", match.group())
            while name and name not in self._kinds:  # drop a method: readouts.visibility.all
                name = name.rpartition(".")[0]
            if name:
                found[name] = None
        return tuple(found)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _plain(values: Mapping[str, Value]) -> dict[str, object]:
    return {
        _inside(name): list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _inside(name: str) -> str:
    return _OF_LOOPS.sub(_INSIDE, name)


def _renamed(source: str, blanked: str) -> str:
    """Put the inner name of loops into a condition, its strings left as they are."""
    for match in _OF_LOOPS.finditer(blanked):
        source = source[: match.start()] + _INSIDE + source[match.end() :]
    return source


def _refuse(source: str, blanked: str) -> None:
    if len(source) > MAXIMUM_LENGTH:
        raise CelError(f"the condition is longer than {MAXIMUM_LENGTH} characters")
    if re.search(rf"\b{_INSIDE}\b", blanked):
        raise CelError(f"undeclared reference to '{_INSIDE}'")
    if match := _REFUSED.search(blanked):
        line = source.count("\n", 0, match.start()) + 1
        raise CelError(
            f"{match.group(1)}() is not available: unknown facts are absent, and a condition "
            "that needs one is unknown by itself",
            line,
        )


def _problem(text: str) -> CelError:
    if "recursion" in text:
        return CelError("the condition is nested too deep: take it apart with && and ||")
    match = _PROBLEM.search(text)
    line, message = (int(match.group(1)), match.group(3)) if match else (1, text)
    message = message.replace(f"'{_INSIDE}", f"'{_RESERVED}")
    return CelError(_CLUTTER.sub("", message).strip(), line)
