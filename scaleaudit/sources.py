"""What to audit: the files that a user named, and those met on a walk through folders."""

from __future__ import annotations

import ast
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

from scaleaudit.bases import may_hold_model
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Skip, Skipped
from scaleaudit.errors import ConfigError
from scaleaudit.files import check_file, read_file, source_of

# Folders that hold other people's code or none at all.
_NOT_WALKED = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages"})
# A model file is never larger; what is, was generated.
_MAX_SOURCE_BYTES = 4 << 20
_TARGET_FUNCTION = "scaleaudit_target"
# Without such a text there is no such function, nor a class that extends another: to look for it
# takes a hundredth of the time that it takes to parse a file.
_SIGN_OF_TARGET = re.compile(rb"scaleaudit_target")
_SIGN_OF_MODEL = re.compile(rb"scaleaudit_target|\bclass[\s\\]+\w+[\s\\]*[(\[]")
_SOURCES = frozenset({".py", ".pyi", ".pyw", ""})
# What torch.export.save writes.
_ARCHIVE = ".pt2"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Request:
    """A file to audit.

    Attributes:
        name: The one target that was asked for, else every target of the file.
        named: Whether the user named the file; else it was met on a walk and may hold no model.
    """

    path: str
    name: str | None = None
    named: bool = True


def find_requests(paths: Iterable[str], *, skip_non_models: bool = False) -> tuple[Request, ...]:
    """Turn command-line paths into the files to audit, each once, in a stable order.

    Args:
        paths: Files, folders, and ``file.py::Name``.
        skip_non_models: Whether files may hold no model though they were named.

    Raises:
        ConfigError: A path does not exist or is no Python file.
    """
    here = Path.cwd()
    requests: dict[tuple[str, str | None], Request] = {}
    for given in paths:
        for request in _expand(given, named=not skip_non_models):
            found = replace(request, path=_seen(request.path, here))
            key = os.path.normpath(here / found.path), found.name
            named = found.named or (key in requests and requests[key].named)
            requests[key] = replace(found, named=named)
    return tuple(requests.values())


def split_target(given: str) -> tuple[str, str]:
    """Split ``file.py::Name`` into both; the name of a file may hold colons itself."""
    parts = given.split("::")
    for length in range(len(parts), 0, -1):
        path = "::".join(parts[:length])
        if os.path.exists(path):  # noqa: PTH110  # a name too long is none
            return path, "::".join(parts[length:])
    return parts[0], "::".join(parts[1:])


def _seen(path: str, folder: Path) -> str:
    """Return a path as seen from a folder where it lies inside it, else as it was given."""
    absolute = Path(os.path.normpath(folder / path))
    return str(absolute.relative_to(folder)) if absolute.is_relative_to(folder) else path


def _expand(given: str, *, named: bool) -> Iterator[Request]:
    text, name = split_target(given)
    path = Path(text)
    if not os.path.exists(text):  # noqa: PTH110  # a name too long is none either
        raise ConfigError(
            f"no such file or folder: {text}",
            hint="Name Python or .pt2 files, folders, or one target as file.py::Name.",
        )
    if named and not is_text(text):
        encoding = sys.getfilesystemencoding().upper()
        raise ConfigError(
            f"the name {text} is not {encoding}", hint="Rename the file or the folder."
        )
    if path.is_dir():
        if name:
            raise ConfigError(f"{text} is a folder and has no target {name}")
        yield from (Request(str(found), named=False) for found in _walk(path))
    elif path.suffix not in _SOURCES and not is_archive(text):
        raise ConfigError(
            f"{text} is no Python file, and no .pt2 file",
            hint="Name the file that defines the model, or what torch.export.save wrote of it.",
        )
    elif named and not path.is_file():
        raise ConfigError(
            f"{text} is no regular file",
            hint="A pipe or a device may have no end. `scaleaudit check -` reads the standard input.",
        )
    else:
        yield Request(str(path), name or None, named=named)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_walked(Path(root, name)))
        yield from (Path(root, name) for name in sorted(files) if name.endswith((".py", _ARCHIVE)))


def _is_walked(folder: Path) -> bool:
    hidden = folder.name.startswith(".")
    return not (hidden or folder.name in _NOT_WALKED or (folder / "pyvenv.cfg").exists())


def is_text(path: str) -> bool:
    """Tell whether the name of a file is UTF-8, as all that is told of it must be."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_archive(path: str) -> bool:
    """Tell by its name whether a file holds exported programs."""
    return path.endswith(_ARCHIVE)


def declares_target(path: str) -> bool:
    """Tell whether a file has a target function of its own, without running it.

    An archive declares the programs that it holds.
    """
    if is_archive(path):
        return _holds_program(path)
    try:
        return any(map(_is_target_function, ast.walk(_parsed(path, _SIGN_OF_TARGET))))
    except OSError:
        return False
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _shows_target(path)


def _shows_target(path: str) -> bool:
    """Tell of a file that does not parse, whatever its encoding, whether it speaks of a target."""
    data = read_file(path)
    return len(data) <= _MAX_SOURCE_BYTES and bool(_SIGN_OF_TARGET.search(data.replace(b"\0", b"")))


def passed_over(path: str) -> Skipped | None:
    """Say why a file met on a walk is not audited, without running it; None where it may be.

    Walking a folder must not run every script in it: only a file with a target function or a
    class that may extend torch's can declare a model.
    """
    if not is_text(path):
        return Skipped(path, f"its name is not {sys.getfilesystemencoding().upper()}", Skip.UNREAD)
    try:
        if _may_hold_target(path):
            return None
    except SyntaxError as error:
        place = f"line {error.lineno}" if error.lineno else error.msg
        why = f"not valid Python ({place})"
    except (RecursionError, MemoryError):
        why = "cannot be read (nested too deeply)"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    else:
        if is_archive(path):
            return Skipped(path, "holds no exported program")
        return Skipped(path, "declares no target and defines no model class")
    return None if declares_target(path) else Skipped(path, why, Skip.UNREAD)


def _may_hold_target(path: str) -> bool:
    check_file(path)
    if is_archive(path):
        return _holds_program(path)
    nodes = list(ast.walk(_parsed(path, _SIGN_OF_MODEL)))
    return any(map(_is_target_function, nodes)) or may_hold_model(nodes, Path(path).parent)


def _holds_program(path: str) -> bool:
    try:
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            return any("/models/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return False


def _parsed(path: str, sign: re.Pattern[bytes]) -> ast.AST:
    """Parse a file, unless its bytes show no sign of what is looked for."""
    data = read_file(path)
    if len(data) > _MAX_SOURCE_BYTES:
        raise ValueError("too large for a model file")
    # Other letters may stand for these ones in a name.
    if data.isascii() and not sign.search(data):
        return ast.Module([], [])
    return ast.parse(data)


def _is_target_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and (
        node.name == _TARGET_FUNCTION or node.name.startswith(f"{_TARGET_FUNCTION}_")
    )


def read_sources(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read the files that findings name, for excerpts; what cannot be read is left out."""
    return tuple((path, text) for path in dict.fromkeys(paths) if (text := _text(path)) is not None)


def _text(path: str) -> str | None:
    data = read_source(path)
    return source_of(data) if data is not None else None


def read_source(path: str) -> bytes | None:
    """Read a file that is to be quoted or changed; None where that cannot be."""
    try:
        data = read_file(path)
    except (OSError, ValueError):
        return None
    return data if len(data) <= _MAX_SOURCE_BYTES and b"\0" not in data else None


def portable(value: Value, folder: Path) -> Value:
    """Return a domain value whose locations are relative to a folder where they lie inside it."""
    return cast("Value", _portable(value, folder))


def _portable(value: object, folder: Path) -> object:
    if isinstance(value, Location):
        return replace(value, path=relative(value.path, folder))
    if isinstance(value, tuple):
        return tuple(_portable(item, folder) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: _portable(getattr(value, f.name), folder) for f in fields(value)}
        )
    return value


def relative(path: str, folder: Path) -> str:
    """Return a path as seen from a folder, with slashes, where it lies inside it."""
    absolute = Path(os.path.normpath(folder / path))
    return (
        absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
    ).as_posix()
