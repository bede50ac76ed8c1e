"""What ends a run from outside, so that it takes with it what it has started and written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# SIGTERM of whoever runs us, SIGHUP of a terminal that closes; not every system has both.
_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
# What shells add to the number of the signal that ended a process.
_BY_SIGNAL = 128


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let these signals end the run as Ctrl-C does: files are removed, children ended.

    One that whoever started us has ignored (`nohup`), or handles, is left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    taken = [number for number in _ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: FrameType | None) -> NoReturn:
    # What comes while we tidy up would cut that short; it takes seconds at most.
    for each in _ENDINGS:
        if signal.getsignal(each) is _end:
            signal.signal(each, _ignore)
    raise SystemExit(_BY_SIGNAL + number)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; what is started meanwhile inherits none of it, unlike SIG_IGN."""
