"""Answers by what was asked, each believed only while all that it was drawn from is as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from scaleaudit.caching.circumstances import circumstances
from scaleaudit.caching.observing import Observed, Observer
from scaleaudit.caching.signing import load_secret
from scaleaudit.caching.store import Store
from scaleaudit.domain.reads import Seen
from scaleaudit.wire import read_packed

# Counts up when what records hold changes its form.
_FORM = "1"


@dataclass(frozen=True, slots=True)
class _Record:
    places: tuple[Observed, ...]
    answer: bytes


class Cache:
    """What is kept in a folder. A cache that is of no use says so once, and does no harm.

    Args:
        warn: Told why nothing is kept.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn
        self._observer = Observer()
        self._warned, self._complaining = False, threading.Lock()
        self._store: Store | None = None
        self._secret = b""
        try:
            self._secret = load_secret()
            self._store = Store(folder, self._secret)
        except OSError as error:
            self._complain(error, "the key to the cache cannot be kept")

    def name(self, path: str, asked: Sequence[str]) -> str:
        """Return the name under which the answer to a question about a file is kept."""
        whole = (_FORM, circumstances(), path, self._observer.digest(path), *asked)
        # Users who share a folder each have their own records there.
        encoded = msgspec.msgpack.encode(whole)
        return blake2b(encoded, key=self._secret, digest_size=16).hexdigest()

    def find(self, name: str) -> bytes | None:
        """Return what is kept under a name, if all that it depends on is as it was."""
        body = self._store and self._store.read(name)
        if not body:
            return None
        try:
            record = read_packed(body, _Record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return record.answer if self._observer.holds(record.places) else None

    def keep(self, name: str, seen: Seen, answer: bytes) -> None:
        """Keep an answer, unless it would come out otherwise, or what it saw changed meanwhile."""
        if self._store is None or seen.unsteady:
            return
        places = self._observer.observe(seen)
        if places is None:
            return
        try:
            self._store.write(name, msgspec.msgpack.encode(_Record(places, answer)))
        except OSError as error:
            self._complain(error, f"{self._folder} takes no answers")

    def _complain(self, error: OSError, what: str) -> None:
        with self._complaining:
            first, self._warned = not self._warned, True
        if first:
            self._warn(f"{what} ({error.strerror or error}); going on without a cache")
