"""Ways to build a class, the surest first, as expressions over the names of its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from scaleaudit.capture.discovery.classes import FileIndex
from scaleaudit.capture.discovery.signatures import Asked, asked
from scaleaudit.capture.discovery.slices import Script
from scaleaudit.capture.discovery.values import Value, names_read, settings
from scaleaudit.domain.plans import Statement

# Stands for an integer to be found in the text of a way.
HOLE = "\N{WHITE SQUARE}"
_MOST = 24


@dataclass(frozen=True, slots=True)
class Way:
    """A way to build a model.

    Attributes:
        text: The expression, with holes for integers that nobody knows.
        how: In words for a note.
    """

    text: str
    setup: tuple[Statement, ...] = ()
    how: str = ""

    @property
    def holes(self) -> int:
        """How many integers are to be found."""
        return self.text.count(HOLE)

    def filled(self, numbers: tuple[int, ...]) -> str:
        """Put integers into the holes."""
        parts = self.text.split(HOLE)
        return parts[0] + "".join(f"{n}{part}" for n, part in zip(numbers, parts[1:], strict=True))


def ways_to_build(
    index: FileIndex, script: Script, name: str, models: tuple[str, ...] = ()
) -> Iterator[Way]:
    """Yield ways to build a class of a file.

    Args:
        models: Expressions of other models, for a class that is given one.
    """
    cls: type[nn.Module] = getattr(index.module, name)
    parameters = asked(cls)
    required = [p for p in parameters if p.required]
    if not required:
        yield Way(f"{name}()", how="built from its defaults")
    calls = list(_calls(script, name))
    yield from (way for way in calls if not way.holes)
    yield from _from_settings(index, cls, required, models)
    yield from (way for way in calls if way.holes)
    if required:
        yield _guessed(index, name, required)


def _calls(script: Script, name: str) -> Iterator[Way]:
    """Yield the calls of a class that stand in the file, with what they need before them."""
    for node in ast.walk(script.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield _call(script, node)


def _call(script: Script, node: ast.Call) -> Way:
    """Turn a call into a way; arguments that cannot be computed alone become holes."""
    setup: list[Statement] = []
    texts = []
    for part in (*node.args, *node.keywords):
        value = part.value if isinstance(part, ast.keyword) else part
        found = script.before(node, script.needs(value))
        prefix = f"{part.arg}=" if isinstance(part, ast.keyword) and part.arg else ""
        if isinstance(part, ast.keyword) and part.arg is None:
            prefix = "**"
        if found.missing:
            texts.append(prefix + HOLE)
            continue
        setup.extend(statement for statement in found.statements if statement not in setup)
        texts.append(prefix + script.text(value))
    text = f"{script.text(node.func)}({', '.join(texts)})"
    ordered = tuple(sorted(setup, key=lambda statement: statement.line))
    return Way(text, ordered, f"built as in line {node.lineno}")


def _from_settings(
    index: FileIndex, cls: type[nn.Module], required: list[Asked], models: tuple[str, ...]
) -> Iterator[Way]:
    """Yield ways that give settings of the file for what the constructor requires."""
    known = settings(index)
    if not required:
        required = [p for p in asked(cls) if p.default is None and not p.variadic][:1]
    names = {parameter.name for parameter in required}
    for value in known:
        if names and names <= value.names:
            yield _spread(cls, value)
    options = [_options(index, cls, parameter, known, models) for parameter in required]
    longest = max((len(found) for found in options), default=0)
    for turn in range(min(longest, _MOST)):
        chosen = [found[min(turn, len(found) - 1)] for found in options]
        named = [f"{p.name}={text}" for p, text in zip(required, chosen, strict=True)]
        yield Way(f"{cls.__name__}({', '.join(named)})", how="built from settings of the file")


def _spread(cls: type, value: Value) -> Way:
    accepted = [p.name for p in asked(cls) if p.name in value.names and not p.variadic]
    read = "{0}[{1!r}]" if value.is_mapping else "{0}.{1}"
    texts = [f"{name}={read.format(value.text, name)}" for name in accepted]
    return Way(f"{cls.__name__}({', '.join(texts)})", how=f"built from {value.text}")


def _options(
    index: FileIndex, cls: type, parameter: Asked, known: list[Value], models: tuple[str, ...]
) -> list[str]:
    """Return expressions for one parameter, those first that have what is read of it."""
    kind = _kind_text(index, parameter.kind)
    simple = _simple(index, parameter)
    if simple is not None:
        return [simple]
    read = names_read(cls, parameter.name)
    fitting = [(len(read & value.names), -n, value) for n, value in enumerate(known)]
    ranked = [value.text for score, _, value in sorted(fitting, reverse=True) if score]
    held = [parameter.name] if _is_constant(index, parameter.name) else []
    first = [kind] if kind else []
    return [*first, *ranked, *held, *models] or [HOLE]


def _kind_text(index: FileIndex, annotation: Any) -> str:
    """Return how to build what an annotation names, holes for integers that it requires."""
    if not isinstance(annotation, type):
        return ""
    kind: type = annotation
    if vars(index.module).get(kind.__name__) is not kind or issubclass(kind, nn.Module):
        return ""
    required = [p for p in asked(kind) if p.required]
    inner = ", ".join(f"{p.name}={_simple(index, p) or HOLE}" for p in required)
    return f"{kind.__name__}({inner})"


def _simple(index: FileIndex, parameter: Asked) -> str | None:
    """Return an expression for a plain number; None where it may be something else."""
    if _is_constant(index, parameter.name):
        return parameter.name
    known: dict[Any, str] = {int: HOLE, float: "0.1", bool: "False", str: "''"}
    return known.get(parameter.kind)


def _is_constant(index: FileIndex, name: str) -> bool:
    return isinstance(vars(index.module).get(name), (int, float, str, list, tuple))


def _guessed(index: FileIndex, name: str, required: list[Asked]) -> Way:
    texts = [f"{p.name}={_simple(index, p) or HOLE}" for p in required]
    return Way(f"{name}({', '.join(texts)})", how="built of sizes that were guessed")
