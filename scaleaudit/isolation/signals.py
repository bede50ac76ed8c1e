"""What processes that watch over others do with signals: nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

# SIGCHLD is listened to; faults of our own should end us.
_KEPT = {
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}
_KEPT |= {signal.SIGABRT, signal.SIGKILL, signal.SIGSTOP, signal.SIGTRAP, signal.SIGSYS}
_FIRST = {number: signal.getsignal(number) for number in signal.valid_signals()}


def ignore_all() -> None:
    """Ignore what can be ignored: a job may signal its parents, whose end is the pipe's."""
    for number in signal.valid_signals() - _KEPT:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)


def restore_all() -> None:
    """Answer signals as this Python did when it started."""
    signal.set_wakeup_fd(-1)
    for number, handler in _FIRST.items():
        with contextlib.suppress(OSError, ValueError, TypeError):
            signal.signal(number, handler)


class Bell:
    """A pipe that can be read as soon as a child ended or stopped."""

    def __init__(self) -> None:
        self.woken, self._wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def hush(self) -> None:
        """Empty the pipe."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.woken, 4096)

    def close(self) -> None:
        """Close the pipe, in a child that inherited it."""
        os.close(self.woken)
        os.close(self._wake)


def changed_children() -> Iterator[tuple[int, int]]:
    """Yield the children that have ended or stopped, with their wait status."""
    flags = os.WNOHANG | os.WUNTRACED
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, flags))[0]:
            yield found
