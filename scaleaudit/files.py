"""Reading files that have an end: a pipe, a device or a socket may keep a reader for ever."""

from __future__ import annotations

import errno
import os
import stat
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
