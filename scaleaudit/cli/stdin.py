"""`check -`: a text from the standard input, audited as if it were a file."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from scaleaudit.errors import ConfigError

STDIN = "-"
_UNNAMED = "<stdin>"
_PREFIX = "_scaleaudit_stdin_"
_SUFFIXES = (".py", ".pyi", ".pyw", "")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Standin:
    """A file that holds the text while it is audited.

    Attributes:
        file: Where the text is: beside the file that it is meant to be, so that imports work.
        name: What the file is called in all that is said; empty for the standard input.
    """

    file: Path
    name: str

    @property
    def alias(self) -> tuple[Path, Path] | None:
        """The file with that whose settings it has; None where it has no name."""
        return (self.file, Path(self.name)) if self.name else None

    def renamed(self, value: Value) -> Value:
        """Return a value of the vocabulary that speaks of the name, not of the file."""
        return cast("Value", self._renamed(value))

    def _renamed(self, value: object) -> object:
        if isinstance(value, str):
            meant = Path(self.name or _UNNAMED)
            return value.replace(self.file.name, meant.name).replace(self.file.stem, meant.stem)
        if isinstance(value, tuple):
            return tuple(self._renamed(each) for each in value)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{f.name: self._renamed(getattr(value, f.name)) for f in fields(value)}
            )
        return value


@contextmanager
def standing_in(paths: Sequence[str], name: str | None) -> Iterator[Standin | None]:
    """Keep the standard input in a file as long as it is audited; None where it is not asked for.

    Args:
        paths: What the command line asks for.
        name: The file that the text is meant to be.

    Raises:
        ConfigError: There is no place for it, or other paths are asked for as well.
    """
    if STDIN not in paths:
        if name is not None:
            raise ConfigError("--stdin-filename names the text of `-`, and `-` is not asked for")
        yield None
        return
    if list(paths) != [STDIN]:
        raise ConfigError(
            "`-` is the standard input and goes with no other path",
            hint="Audit the other paths in a run of their own.",
        )
    meant = Path(name or "")
    if meant.suffix not in _SUFFIXES:
        raise ConfigError(f"--stdin-filename {name}: the standard input is Python source")
    with _kept(meant.parent, _read()) as file:
        yield Standin(file, name or "")


def _read() -> bytes:
    hint = "Write scaleaudit check - < FILE, or name the file."
    if sys.stdin is None:
        raise ConfigError("the standard input is closed", hint=hint)
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigError(
            f"the standard input cannot be read: {error.strerror}", hint=hint
        ) from error


@contextmanager
def _kept(folder: Path, data: bytes) -> Iterator[Path]:
    """Keep a text in a file that no other run uses, and take away what killed runs left.

    A file is locked as long as it is in use. The same text has the same name where that is free,
    so that what was answered of it before is found.
    """
    stream, file = _written(folder, data)
    with stream:
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)


def _written(folder: Path, data: bytes) -> tuple[BinaryIO, Path]:
    """Return a file that holds a text, locked as long as it is open."""
    try:
        _sweep(folder)
        descriptor, file = _create(folder, hashlib.sha256(data).hexdigest()[:16])
        stream = os.fdopen(descriptor, "wb")
        _lock(stream)
        stream.write(data)
        stream.flush()
    except OSError as error:
        raise ConfigError(
            f"the standard input cannot be kept in {folder}: {error.strerror}",
            hint="Name a file in a folder that can be written to, by --stdin-filename.",
        ) from error
    return stream, file


def _create(folder: Path, name: str) -> tuple[int, Path]:
    file = folder / f"{_PREFIX}{name}.py"
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), file
    except FileExistsError:
        descriptor, other = tempfile.mkstemp(".py", _PREFIX, folder)
        return descriptor, folder / Path(other).name


def _sweep(folder: Path) -> None:
    for file in folder.glob(f"{_PREFIX}*.py"):
        with suppress(OSError), file.open("rb") as stream:  # in use, or not ours to remove
            _lock(stream)
            file.unlink()


def _lock(stream: BinaryIO) -> None:
    import fcntl  # not on every system, and for this alone

    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
