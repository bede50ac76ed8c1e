"""The name that Python knows a user's file by: alone, in a package, or in folders without __init__."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Put before what cannot be the module's own name.
_ALIAS = "user_file_"
# How far up a module is looked for that a file imports as if it ran from there.
_ANCESTORS = 6


@dataclass(frozen=True, slots=True)
class ModuleName:
    """A file's dotted name, and the folder from which that name leads to it."""

    root: Path
    name: str

    @property
    def is_importable(self) -> bool:
        """Whether the import system finds this file by this name, and no other file."""
        parts = self.name.split(".")
        top = parts[0]
        return top not in sys.stdlib_module_names and not _is_anothers(top, self.root)


def module_name(path: Path, depth: int = 0) -> ModuleName:
    """Return the name of a file, with at least as many packages around it as are asked for.

    Folders with ``__init__.py`` are packages, and so are as many as the file's own relative
    imports go up.
    """
    path = path.resolve()
    folder, packages = path.parent, list[str]()
    depth = max(depth, _relative_depth(path))
    while folder.parent != folder and (_is_package(folder) or len(packages) < depth):
        packages.insert(0, folder.name)
        folder = folder.parent
    stem = [] if path.stem == "__init__" and packages else [path.stem]
    return ModuleName(folder, ".".join(part.replace(".", "_") for part in (*packages, *stem)))


def alias_of(path: Path) -> str:
    """Return a name that nothing else has, for a file whose own name is taken."""
    return _ALIAS + path.stem.replace(".", "_")


def folder_of_module(name: str, path: Path) -> Path | None:
    """Return the nearest folder above a file from which a top-level module can be imported."""
    for folder in path.resolve().parents[:_ANCESTORS]:
        for root in (folder, folder / "src"):
            if (root / name).is_dir() or (root / f"{name}.py").is_file():
                return root
    return None


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _relative_depth(path: Path) -> int:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return 0
    return max((node.level for node in _imports(tree)), default=0)


def _imports(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))


def _is_anothers(top: str, root: Path) -> bool:
    """Tell whether a top-level name belongs to a module from elsewhere."""
    known = sys.modules.get(top)
    if known is not None:
        places = [*getattr(known, "__path__", ()), getattr(known, "__file__", None) or ""]
        return not any(Path(place).is_relative_to(root) for place in places if place)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return True
    return spec is None or not any(
        Path(place).is_relative_to(root)
        for place in (*(spec.submodule_search_locations or ()), spec.origin or "")
    )
