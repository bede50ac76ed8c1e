"""Note what a user's code looks at: files, folders, modules, environment variables.

Python announces what it opens, lists and starts. It says nothing where it only asks whether a
file is there, or which variables are set, so those questions are put through functions that note
them. What compiled code opens by itself is not seen.
"""

from __future__ import annotations

import contextlib
import functools
import os
import site
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import source_from_cache
from typing import Any

import msgspec

import scaleaudit
from scaleaudit.domain.reads import OUT_OF_TIME, OWN_FOLDER, Read, Seen, Sort
from scaleaudit.wire import read_packed

_TAG = b"r"
_SIZE = struct.Struct("!I")
_NO_FILES = ("/dev", "/proc", "/sys")
_IMPORT_SYSTEM = "<frozen importlib"
# What happens outside of this process, or by the clock, nobody can look up again.
_UNSEEN = {
    OUT_OF_TIME: "the clock cut it short",
    "os.exec": "it started a program",
    "os.fork": "it started a process",
    "os.forkpty": "it started a process",
    "os.posix_spawn": "it started a program",
    "os.spawn": "it started a program",
    "os.startfile": "it started a program",
    "os.system": "it started a program",
    "pty.spawn": "it started a program",
    "subprocess.Popen": "it started a program",
    "socket.connect": "it used the network",
    "socket.getaddrinfo": "it used the network",
    "socket.gethostbyname": "it used the network",
    "urllib.Request": "it used the network",
}
_HEARD = frozenset({
    "ctypes.dlopen", "import", "open", "os.listdir", "os.scandir", "sqlite3.connect", *_UNSEEN,
})  # fmt: skip


def watch_reads() -> Callable[[], Seen]:
    """Note from now on what this process looks at; the function returned tells of it."""
    watch = _Watch()
    sys.addaudithook(watch.hear)
    sys.meta_path.insert(0, _Searches(watch.search))
    for name in ("access", "stat"):
        _ask_through(watch, name)
    _note_variables(watch)
    return watch.seen


def with_seen(answer: bytes, seen: Seen) -> bytes:
    """Put what was looked at before an answer."""
    noted = msgspec.msgpack.encode(seen)
    return _TAG + _SIZE.pack(len(noted)) + noted + answer


def split_seen(data: bytes) -> tuple[Seen | None, bytes]:
    """Take an answer apart again; one that nobody watched comes back as it is.

    Raises:
        msgspec.DecodeError: What stands before it is not what it should be.
    """
    if not data.startswith(_TAG):
        return None, data
    start = len(_TAG) + _SIZE.size
    if len(data) < start:
        raise msgspec.DecodeError("it is cut short")
    end = start + _SIZE.unpack(data[len(_TAG) : start])[0]
    return read_packed(data[start:end], Seen), data[end:]


class _Watch:
    """What was noted so far; nothing in here may fail, since the user's code would."""

    def __init__(self) -> None:
        self._began = time.time_ns()
        self._reads: dict[tuple[Sort, str, str], Read] = {}
        self._unsteady: dict[str, None] = {}
        self._stat, self._here = os.stat, os.getcwd
        self._installed = tuple(f"{root.rstrip(os.sep)}{os.sep}" for root in _installed())

    def seen(self) -> Seen:
        return Seen(self._began, tuple(self._reads.values()), tuple(self._unsteady))

    def hear(self, event: str, arguments: Sequence[Any]) -> None:
        """Take in what Python announces."""
        if event not in _HEARD:
            return
        if event == "open":
            self._opened(*arguments[:3])
        elif event in {"os.listdir", "os.scandir"}:
            # Which modules are looked for is noted more exactly.
            if not sys._getframe(1).f_code.co_filename.startswith(_IMPORT_SYSTEM):  # noqa: SLF001
                self.path(Sort.FOLDER, arguments[0] or ".")
        elif event == "import":
            if arguments[1] is not None:
                self.path(Sort.FILE, arguments[1])
        elif event in {"ctypes.dlopen", "sqlite3.connect"}:
            if isinstance(arguments[0], str) and os.sep in arguments[0]:
                self.path(Sort.FILE, arguments[0])
        else:
            self._unsteady[_UNSEEN[event]] = None

    def _opened(self, path: object, _mode: object, flags: int) -> None:
        writes = flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY
        if isinstance(path, int) or (writes and not flags & os.O_EXCL):
            return
        self.path(Sort.FILE, path)

    def path(self, sort: Sort, path: object, part: str = "") -> None:
        """Note a look at a path, unless it belongs to what is installed."""
        text = self._text(path)
        if text is None:
            return
        # What is above a link is above what it leads to.
        plain = os.path.realpath(text) if ".." in text else os.path.normpath(text)
        if f"{plain}{os.sep}".startswith(self._installed):
            return
        name = _source(plain)
        if (sort, name, part) not in self._reads:
            self._reads[sort, name, part] = Read(sort, name, part, self._exists(name))

    def search(self, name: str, folders: Sequence[object]) -> None:
        """Note that a module was looked for in some folders."""
        part = name.rpartition(".")[2]
        for folder in folders:
            self.path(Sort.MODULE, folder or ".", part)

    def variable(self, name: str) -> None:
        """Note a look at an environment variable, or at all of them."""
        self._reads.setdefault((Sort.VARIABLE, name, ""), Read(Sort.VARIABLE, name))

    def _text(self, path: object) -> str | None:
        if isinstance(path, int):
            return None
        try:
            text = os.fsdecode(path)  # type: ignore[arg-type]  # what is no path raises
            text.encode()
            return os.path.join(self._here(), text)
        except (TypeError, ValueError, OSError):
            self._unsteady["it opened what has no readable path"] = None
            return None

    def _exists(self, name: str) -> bool:
        try:
            self._stat(name)
        except (OSError, ValueError):
            return False
        return True


class _Searches:
    """Stands before all finders and finds nothing."""

    def __init__(self, note: Callable[[str, Sequence[object]], None]) -> None:
        self._note = note

    def find_spec(
        self, name: str, path: Sequence[object] | None = None, _target: object = None
    ) -> None:
        self._note(name, tuple(sys.path if path is None else path))


def _ask_through(watch: _Watch, name: str) -> None:
    """Have a function of os note the path that it is asked for."""
    ask = getattr(os, name)

    @functools.wraps(ask)
    def noted(path: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as it was
        # Relative to a folder that is given by a descriptor, a path cannot be told.
        if named.get("dir_fd") is None:
            watch.path(Sort.FILE, path)
        return ask(path, *arguments, **named)

    abilities = (
        os.supports_dir_fd,
        os.supports_effective_ids,
        os.supports_fd,
        os.supports_follow_symlinks,
    )
    for able in abilities:
        if ask in able:
            able.add(noted)
    setattr(os, name, noted)


class _Variables(dict[bytes, bytes]):
    """The environment's mapping, whose readers are noted."""

    def __init__(self, values: dict[bytes, bytes], note: Callable[[str], None]) -> None:
        super().__init__(values)
        self._note = note

    def __getitem__(self, key: bytes) -> bytes:
        self._note(os.fsdecode(key))
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[bytes]:
        self._note("")
        return super().__iter__()

    def __len__(self) -> int:
        self._note("")
        return super().__len__()


def _note_variables(watch: _Watch) -> None:
    """Have every question after a variable noted, where Python keeps them as it always did."""
    # There is no public way to hear of it.
    kept = getattr(os.environ, "_data", None)
    if type(kept) is not dict:
        watch.variable("")
        return
    noted = _Variables(kept, watch.variable)
    for environment in (os.environ, getattr(os, "environb", None)):
        if environment is not None:
            setattr(environment, "_data", noted)  # noqa: B010


def _installed() -> list[str]:
    """Return the folders that belong to Python, to installed packages, and to no file at all."""
    roots = [os.path.dirname(os.__file__), *site.getsitepackages(), *_NO_FILES]
    roots.append(os.path.dirname(scaleaudit.__file__))
    with contextlib.suppress(OSError):
        roots.append(site.getusersitepackages())
    # A job's own folder for temporary files holds what jobs have put there, and nothing else.
    if own := os.environ.get(OWN_FOLDER):
        roots.append(own)
    return [*roots, *(os.path.realpath(root) for root in roots)]


def _source(name: str) -> str:
    """Return the source that byte code stands for, else the path itself."""
    if not name.endswith(".pyc"):
        return name
    try:
        return source_from_cache(name)
    except (ValueError, NotImplementedError):
        return name
