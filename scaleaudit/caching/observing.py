"""What is now at the places that a computation looked at.

A state is a short text; two that are the same stand for the same content. Contents are hashed,
but for large files, which are told by their size and dates.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from scaleaudit.domain.reads import Read, Seen, Sort

# Reading more than this to find out whether it changed takes longer than an audit may.
_LARGE = 16 << 20
_ABSENT = "absent"
# The clock that dates files lags behind by a tick of the kernel.
_LAG = 50_000_000
# Where files are dated by the second, and where not even that exactly.
_SECOND = 1_000_000_000
_COARSE_LAG = 2 * _SECOND
# What a shell changes from call to call.
_RESTLESS = frozenset({
    "_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "SCALEAUDIT_CACHE_DIR",
    "SCALEAUDIT_CACHE_KEY", "SCALEAUDIT_NO_CACHE",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Observed:
    """A place with the state that it was in.

    Attributes:
        parts: The modules that were looked for in a folder.
    """

    sort: Sort
    name: str
    parts: tuple[str, ...]
    state: str


class Observer:
    """Looks at places; a folder or file is read once, unless it changed since."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, int, int, int, int], str] = {}

    def observe(self, seen: Seen) -> tuple[Observed, ...] | None:
        """Return the state of all that was seen; None if it changed since then, or may have."""
        places = [
            Observed(sort, name, parts, self._state(sort, name, parts))
            for sort, name, parts in _grouped(seen.reads)
        ]
        for read in seen.reads:
            if read.sort is Sort.FILE and read.existed != os.path.exists(read.name):
                return None
        dates = (date for place in places for date in _dates(place))
        return None if any(_is_fresh(date, seen.began) for date in dates) else tuple(places)

    def holds(self, places: Iterable[Observed]) -> bool:
        """Tell whether all of them are in the same state."""
        return all(
            self._state(place.sort, place.name, place.parts) == place.state for place in places
        )

    def digest(self, path: str) -> str:
        """Return the state of a file."""
        return self._state(Sort.FILE, path, ())

    def _state(self, sort: Sort, name: str, parts: tuple[str, ...]) -> str:
        try:
            match sort:
                case Sort.FILE:
                    return self._content(name)
                case Sort.FOLDER:
                    return _hash(sorted(_names(name)))
                case Sort.MODULE:
                    return self._modules(name, parts)
                case Sort.VARIABLE:
                    return _variable(name)
        except FileNotFoundError:
            return _ABSENT
        except (OSError, ValueError) as error:
            return type(error).__name__

    def _content(self, path: str) -> str:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return "folder"
        if not stat.S_ISREG(found.st_mode):
            return "no file"  # to open a pipe would wait for ever
        key = (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        if found.st_size > _LARGE:
            return _hash(map(str, key))
        if key not in self._hashes:
            with open(path, "rb") as file:
                self._hashes[key] = blake2b(file.read(), digest_size=16).hexdigest()
        return self._hashes[key]

    def _modules(self, folder: str, parts: tuple[str, ...]) -> str:
        if os.path.isfile(folder):
            return self._content(folder)  # modules come from archives, too
        return _hash(sorted(_modules(folder, parts)))


def _grouped(reads: Iterable[Read]) -> Iterator[tuple[Sort, str, tuple[str, ...]]]:
    """Take what is asked of the same folder together."""
    modules: dict[str, set[str]] = {}
    for read in reads:
        if read.sort is Sort.MODULE:
            modules.setdefault(read.name, set()).add(read.part)
        else:
            yield read.sort, read.name, ()
    for folder, parts in modules.items():
        yield Sort.MODULE, folder, tuple(sorted(parts))


def _names(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)


def _modules(folder: str, parts: tuple[str, ...]) -> Iterator[str]:
    """Yield what a folder has under some modules' names: files, and what makes a package."""
    wanted = frozenset(parts)
    for name in _names(folder):
        if name.endswith("/"):
            if name.removesuffix("/") in wanted:
                yield name
                yield from (f"{name}{inner}" for inner in _beginnings(os.path.join(folder, name)))
        elif name.partition(".")[0] in wanted:
            yield name


def _beginnings(package: str) -> Iterator[str]:
    try:
        yield from (name for name in os.listdir(package) if name.startswith("__init__."))
    except OSError:
        yield "?"


def _dates(place: Observed) -> Iterator[int]:
    """Yield when what is at a place changed; a package's folder changes by being imported."""
    if place.sort is Sort.VARIABLE:
        return
    if place.sort is not Sort.MODULE:
        yield from _changed(place.name, place.state)
        return
    try:
        found = list(_modules(place.name, place.parts))
    except OSError:
        return
    for name in found:
        if not name.endswith("/"):
            yield from _changed(os.path.join(place.name, name), "")


def _changed(path: str, state: str) -> Iterator[int]:
    if state != "folder":
        try:
            yield os.stat(path).st_ctime_ns
        except OSError:
            return


def _is_fresh(date: int, began: int) -> bool:
    lag = _LAG if date % _SECOND else _COARSE_LAG
    return date >= began - lag


def _variable(name: str) -> str:
    if name:
        value = os.environ.get(name)
        return _ABSENT if value is None else _hash([value])
    return _hash(
        f"{key}={value}" for key, value in sorted(os.environ.items()) if key not in _RESTLESS
    )


def _hash(parts: Iterable[str]) -> str:
    whole = "\0".join(parts)
    return blake2b(whole.encode(errors="surrogatepass"), digest_size=16).hexdigest()
