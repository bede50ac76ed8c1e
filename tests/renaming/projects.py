"""The projects that are renamed, each with what the audit knows of its targets by either name."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from foreign import members
from naming import Defined
from rewriting import rename_project

from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.domain.graph import Location
from scaleaudit.domain.laws import DeclaredLaw


@dataclass(frozen=True)
class Project:
    """Files that import one another, and the same files under names without meaning.

    Attributes:
        files: The path of every file below the project's root, without its ending.
    """

    root: Path
    files: tuple[str, ...]
    out: Path

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        return {stem: ast.parse(self.path(stem).read_text(encoding="utf-8")) for stem in self.files}

    @cached_property
    def renamed(self) -> tuple[dict[str, ast.Module], dict[str, str], Defined]:
        """Rename all files and write them to the disk."""
        bases: dict[str, frozenset[str]] = {}
        for stem in self.files:
            for name, found in self.inherited(stem):  # two files may use one name
                bases[name] = bases.get(name, frozenset()) | found
        trees, names, defined = rename_project(self.trees, bases)
        for stem, tree in trees.items():
            path = self.out / f"{stem}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(ast.unparse(ast.fix_missing_locations(tree)) + "\n", encoding="utf-8")
        return trees, names, defined

    def path(self, stem: str) -> Path:
        return self.root / f"{stem}.py"

    def renamed_path(self, stem: str) -> Path:
        names = self.renamed[1]
        return self.out / ("/".join(names.get(part, part) for part in stem.split("/")) + ".py")

    def inherited(self, stem: str) -> Iterator[tuple[str, frozenset[str]]]:
        """Yield what the foreign bases of every class of a file bring along."""
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))
        own = {stem.replace("/", ".").removesuffix(".__init__") for stem in self.files}
        module = importlib.import_module(stem.replace("/", ".").removesuffix(".__init__"))
        for name, each in vars(module).items():
            if isinstance(each, type) and each.__module__ == module.__name__:
                foreign = (base for base in each.__mro__ if base.__module__ not in own)
                yield name, frozenset(found for base in foreign for found in members(base))

    def lines(self, stem: str) -> dict[int, int]:
        """Return where the lines of a file end up when its tree is written out anew."""
        tree = self.trees[stem]
        again = ast.parse(ast.unparse(tree))
        pairs = zip(ast.walk(tree), ast.walk(again), strict=True)
        found: dict[int, int] = {}
        for old, new in pairs:
            assert type(old) is type(new)
            if isinstance(old, (ast.expr, ast.stmt)):
                found.setdefault(old.lineno, new.lineno)
                found.setdefault(old.end_lineno or 0, new.end_lineno or 0)
        return found

    def old_facts(self, facts: ScaleFacts) -> Any:
        """Return the facts of an original: with the lines that its tree has when written out."""
        lines = {stem.rsplit("/", 1)[-1]: self.lines(stem) for stem in self.files}

        def place(location: Location) -> tuple[object, ...]:
            stem = Path(location.path).stem
            found = lines.get(stem, {})
            return stem, found.get(location.line, location.line)

        return plain(facts, place, without_places)

    def new_facts(self, facts: ScaleFacts) -> Any:
        """Return the facts of a renamed target, told in the old names."""
        old = {new: name for name, new in self.renamed[1].items()}

        def told(text: str) -> str:
            named = re.sub(r"zq\d+", lambda found: old[found.group()], text)
            return without_places(named)

        def place(location: Location) -> tuple[object, ...]:
            return told(Path(location.path).stem), location.line

        return plain(facts, place, told)


def without_places(text: str) -> str:
    """Leave the places out of a text that names some: they are compared where they stand apart."""
    return re.sub(r"\S+\.py:\d+(:\d+)?", "a line", text)


def plain(value: Any, place: Any, told: Any) -> Any:
    """Turn facts into plain tuples; columns are left out, as names have other lengths."""
    match value:
        case Location():
            return place(value)
        case DeclaredLaw(path=path, line=line) if path:
            at = place(Location(path, line, 0))
            return at, plain(replace(value, path="", line=0), place, told)
        case Enum():
            return value.value
        case str():
            return told(value)
        case tuple() | list():
            return tuple(plain(each, place, told) for each in value)
        case _ if dataclasses.is_dataclass(value):
            parts = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
            return tuple((name, plain(each, place, told)) for name, each in parts)
        case _:
            return value
