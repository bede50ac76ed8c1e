"""Find and end what a job started, wherever it went; Linux's own ways.

A process that leaves its group and its session still has a parent: once it loses that, the
nearest ancestor that adopts orphans. So whoever adopts them can find all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable

# From <sys/prctl.h>.
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# A killed process goes within milliseconds, unless a device holds it.
_PATIENCE = 10.0
_PAUSE = 0.002
# Where the number of threads stands in /proc/PID/stat, counted from the state.
_THREADS = 17


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, or at once where that has happened."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _control(option: int, value: int) -> None:
    # Where the system lacks it, children are still ended with their group.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def descendants(root: int, spared: Collection[int] = ()) -> list[int]:
    """Return what descends from a process and lives.

    It is read one process after the other while they go on: one that changes its parent
    meanwhile may be missed, and is found the next time.

    Args:
        spared: Processes that are left out, with what descends from them.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = [pid for pid in children.get(waiting.pop(), ()) if pid not in spared]
        found += below
        waiting += below
    return found


def _parents() -> Iterable[tuple[int, int]]:
    for pid in _processes():
        with contextlib.suppress(OSError):
            # The name before the last bracket may hold anything; then come state and parent.
            facts = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            state, parent, threads = facts[0], facts[1], facts[_THREADS]
            # Where only the first thread has ended, the others live, and keep the children.
            if state != b"Z" or int(threads) > 1:
                yield pid, int(parent)


def _processes() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return []


def marked(mark: str) -> list[int]:
    """Return the processes in whose environment a mark stands, this one left out."""
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError):
            if pid != os.getpid() and mark.encode() in _read(f"/proc/{pid}/environ"):
                found.append(pid)
    return found


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def kill(pids: Iterable[int]) -> None:
    """Kill processes; any may be gone already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill a child and all that stayed in its group; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_all(find: Callable[[], list[int]]) -> None:
    """Kill what is found, again and again: some of it may be starting more."""
    deadline = time.monotonic() + _PATIENCE
    while (found := find()) and time.monotonic() < deadline:
        kill(found)
        time.sleep(_PAUSE)


def end_descendants(pid: int) -> None:
    """Kill and reap all that descends from this process, whose id is given and which adopts.

    It is over once there is no child: what is left of a dying family becomes one.
    """
    deadline = time.monotonic() + _PATIENCE
    while _has_children() and time.monotonic() < deadline:
        kill(descendants(pid))
        time.sleep(_PAUSE)


def _has_children() -> bool:
    """Reap the children that have ended and tell whether there are others."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False
