"""What a command costs with everything that it starts: Linux's own bookkeeping.

The fork server and its children outlive each other in any order, and who loses its parent is
handed on. So this process adopts all of them, waits until none is left, and adds up what the
system says of each: a process's account holds that of the children that it waited for.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# From <sys/prctl.h>.
_PR_SET_CHILD_SUBREAPER = 36
# How long what a command leaves behind may go on after it.
_PATIENCE = 30.0
_PAUSE = 0.002
# Between two looks at the memory of all processes.
_SAMPLING = 0.01
_PROC = Path("/proc")


class CommandError(Exception):
    """A command did not do its work."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command used, in seconds and bytes.

    Attributes:
        output: What it wrote, standard output and errors together.
        wall: Until the command itself ended.
        cpu: User and system time of it and of all its descendants.
        largest: The largest resident memory that any of the processes had.
        together: The largest memory seen of all of them at one time, pages that several share
            counted once; zero where it was not looked at.
    """

    code: int
    output: str
    wall: float
    cpu: float
    largest: int
    together: int = 0


def account(command: Sequence[str], *, weigh: bool = False) -> Usage:
    """Run a command and wait for the end of everything that it starts.

    The calling process must have no other children: every one is taken for the command's.

    Args:
        command: A program by its path, and its arguments.
        weigh: Whether to look at the memory of all processes while they run, which disturbs them.

    Raises:
        CommandError: It leaves processes behind that do not end.
    """
    _adopt_orphans()
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        command_id = _start(command, output)
        tally = _Tally(command_id)
        while tally.running:
            tally.step(block=not weigh)
            if weigh:
                tally.look()
        wall = time.perf_counter() - started
        _wait_for_the_rest(tally)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Usage(tally.code, text, wall, tally.cpu, tally.largest, tally.together)


class _Tally:
    """Adds up what ended processes used."""

    def __init__(self, command_id: int) -> None:
        self._command_id = command_id
        self.running = True
        self.code = 0
        self.cpu = 0.0
        self.largest = 0
        self.together = 0

    def step(self, *, block: bool) -> bool:
        """Take the account of one ended child, if there is one; False where none is left."""
        try:
            process, status, used = os.wait4(-1, 0 if block else os.WNOHANG)
        except ChildProcessError:
            return False
        if process:
            self.cpu += used.ru_utime + used.ru_stime
            self.largest = max(self.largest, used.ru_maxrss * 1024)
        if process == self._command_id:
            self.running = False
            self.code = os.waitstatus_to_exitcode(status)
        return True

    def look(self) -> None:
        """Weigh all processes together, then pause."""
        self.together = max(self.together, sum(map(_share, _descendants(os.getpid()))))
        time.sleep(_SAMPLING)


def _wait_for_the_rest(tally: _Tally) -> None:
    deadline = time.monotonic() + _PATIENCE
    while tally.step(block=False):
        if time.monotonic() > deadline:
            left = ", ".join(map(str, _descendants(os.getpid())))
            raise CommandError(f"it left processes that do not end: {left}")
        time.sleep(_PAUSE)


def _start(command: Sequence[str], output: IO[bytes]) -> int:
    return os.posix_spawn(
        command[0],
        list(command),
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
        ],
    )


def _adopt_orphans() -> None:
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0):
        sys.exit("the system cannot account for the children of children; it takes Linux")


def _descendants(process: int) -> Iterator[int]:
    """Yield the processes below one, as far as they still run."""
    with suppress(OSError):
        for thread in (_PROC / str(process) / "task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _share(process: int) -> int:
    """Return the memory of a process, every page divided by how many processes share it."""
    with suppress(OSError):
        for line in (_PROC / str(process) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
