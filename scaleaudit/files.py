"""Reading files that have an end (a pipe may keep a reader for ever), and replacing whole ones."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Without it, opening a pipe waits for somebody to write to it.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def read_file(path: Path | str) -> bytes:
    """Return what a regular file holds; of a link, that which it leads to.

    Raises:
        OSError: It cannot be read, or is no such file; ``strerror`` says why.
    """
    with open(path, "rb", opener=_open) as file:
        _refuse_others(os.fstat(file.fileno()).st_mode, path)
        return file.read()


def check_file(path: Path | str) -> None:
    """Refuse what is no regular file, before it is read by other means.

    Raises:
        OSError: As read_file does.
    """
    _refuse_others(os.stat(path).st_mode, path)  # noqa: PTH116  # of texts as well


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | _NO_WAIT)


def _refuse_others(mode: int, path: Path | str) -> None:
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        why = os.strerror(code) if code == errno.EISDIR else "it is no regular file"
        raise OSError(code, why, str(path))


def encoding_of(data: bytes) -> str:
    """Return the encoding that a Python file declares; UTF-8 where it names none, or one unknown."""
    try:
        return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError:
        return "utf-8"


def source_of(data: bytes) -> str:
    """Return the text of a Python file, what is none replaced; a byte order mark is no part of it."""
    try:
        return data.decode(encoding_of(data), "replace")
    except (LookupError, UnicodeError):  # a codec of something else than text
        return data.decode("utf-8-sig", "replace")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Lend a temporary file beside another, which it replaces when all of it is written.

    A reader sees the old content or the new, never a half; where writing fails nothing is left.

    Raises:
        OSError: It cannot be made, or take the other's place.
    """
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(_mode_of(file))
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode_of(file: Path) -> int:
    """Return the permissions that the file has, or that a new one would get."""
    if file.exists():
        return file.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
