"""Records in a folder: one file each, signed, written whole or not at all, and thrown out in time.

Readers and writers need no lock. A writer makes a file of its own and renames it; a reader sees
the old record or the new one. Whatever else it finds there is no record.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path

from scaleaudit.caching.signing import SIGNATURE_SIZE, signature

_MAGIC = b"scaleaudit record 1\n"
_RECORDS = "records"
_TAG = "CACHEDIR.TAG"
# What backup programs look for: https://bford.info/cachedir/
_TAG_TEXT = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# This folder is a cache of scaleaudit; it may be removed at any time.\n"
)
_IGNORE = ".gitignore"
_IGNORE_TEXT = b"# Made by scaleaudit.\n*\n"
_OURS = frozenset({_TAG, _IGNORE, _RECORDS})
_DRAFT = ".draft"
# An answer has no more bytes than this; what is larger was not written by us.
_LARGEST = 64 << 20
_HOUR, _DAY = 3600.0, 86400.0
_MOST_AGE = 30 * _DAY
_MOST_RECORDS, _MOST_BYTES = 20_000, 512 << 20


class NotOursError(OSError):
    """A folder that holds something else than a cache."""


class Store:
    """Signed records in a folder.

    Args:
        secret: What they are signed with.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._folder, self._secret = folder, secret

    def read(self, name: str) -> bytes | None:
        """Return a record; None if there is none that this user wrote whole."""
        file = self._file(name)
        try:
            descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _NO_WAIT)
            with os.fdopen(descriptor, "rb") as opened:
                data = opened.read(_LARGEST)
        except OSError:
            return None
        start = len(_MAGIC) + SIGNATURE_SIZE
        body = data[start:]
        signed = _MAGIC + signature(self._secret, name, body)
        if not compare_digest(data[:start], signed):
            return None
        _mark_used(file)
        return body

    def write(self, name: str, body: bytes) -> None:
        """Keep a record.

        Raises:
            OSError: It cannot be written; what was there before is as it was.
        """
        _claim(self._folder)
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(file, _MAGIC + signature(self._secret, name, body) + body)
        self._tidy()

    def _file(self, name: str) -> Path:
        return self._folder / _RECORDS / name[:2] / name

    def _tidy(self) -> None:
        """Once a day, throw out what nobody asked for in a long time, and what is too much."""
        records = self._folder / _RECORDS
        stamp = records / "tidied"
        with contextlib.suppress(OSError):
            if stamp.exists() and time.time() - stamp.stat().st_mtime < _DAY:
                return
            stamp.touch()
            throw_out(records)


# A pipe in the place of a record would let its reader wait for ever.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def throw_out(
    records: Path, most: int = _MOST_RECORDS, size: int = _MOST_BYTES, age: float = _MOST_AGE
) -> None:
    """Remove drafts of writers that were ended, old records, and the oldest that are too many."""
    now = time.time()
    found = sorted(_files(records), reverse=True)
    total = 0
    for number, (used, length, file) in enumerate(found):
        total += length
        old = now - used > (_HOUR if file.suffix == _DRAFT else age)
        if old or number >= most or total > size:
            with contextlib.suppress(OSError):
                file.unlink()


def clean(folder: Path) -> bool:
    """Remove a cache, and tell whether there was one.

    Raises:
        NotOursError: The folder is none; nothing of it is removed.
        OSError: It cannot be removed.
    """
    if not os.path.lexists(folder):
        return False
    _require_ours(folder)
    for name in (_RECORDS, _IGNORE, _TAG):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it may be a link, or hold what we did not put there
        folder.rmdir()
    return True


def _claim(folder: Path) -> None:
    """Make a folder one of ours, unless it holds something else."""
    if (folder / _IGNORE).exists() and _has_tag(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    _require_ours(folder)
    for name, text in ((_TAG, _TAG_TEXT), (_IGNORE, _IGNORE_TEXT)):
        if not (folder / name).exists():
            _write_whole(folder / name, text)


def _require_ours(folder: Path) -> None:
    if _has_tag(folder):
        return
    names = set(os.listdir(folder)) if folder.is_dir() else {""}  # noqa: PTH208
    if any(name not in _OURS and not name.endswith(_DRAFT) for name in names):
        raise NotOursError(f"{folder} holds something else than a cache of scaleaudit")


def _has_tag(folder: Path) -> bool:
    try:
        return (folder / _TAG).read_bytes() == _TAG_TEXT
    except OSError:
        return False


def _write_whole(file: Path, data: bytes) -> None:
    draft = file.with_name(f"{file.name}.{os.getpid()}.{os.urandom(4).hex()}{_DRAFT}")
    try:
        with draft.open("xb") as opened:
            opened.write(data)
        os.replace(draft, file)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _mark_used(file: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - file.stat().st_mtime > _DAY:
            os.utime(file)


def _files(records: Path) -> Iterator[tuple[float, int, Path]]:
    for folder, _, names in os.walk(records):
        for name in names:
            path = Path(folder, name)
            if path.parent != records:
                with contextlib.suppress(OSError):
                    found = path.lstat()
                    yield found.st_mtime, found.st_size, path
