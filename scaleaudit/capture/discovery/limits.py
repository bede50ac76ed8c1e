"""How much may be tried, and the quiet in which it is."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from scaleaudit.domain.reads import OUT_OF_TIME


class TooLong(BaseException):
    """A trial took longer than it may."""


@dataclass(slots=True)
class Budget:
    """How much may be tried.

    Attributes:
        trials: Calls and constructions left.
        end: When to stop, on the monotonic clock.
        each: Seconds that a single trial may take.
    """

    trials: int
    end: float
    each: float

    @classmethod
    def of(cls, trials: int, seconds: float) -> Budget:
        """Start a budget now; one trial may use up a good part of it."""
        return cls(trials, time.monotonic() + seconds, seconds / 3)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        late = time.monotonic() > self.end
        if late:
            sys.audit(OUT_OF_TIME)
        return late or self.trials <= 0

    def spend(self) -> None:
        """Count one trial."""
        self.trials -= 1

    def part(self, trials: int) -> Budget:
        """Return a budget of its own, of so many trials within the same time."""
        return Budget(min(trials, self.trials), self.end, self.each)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in the code below after so many seconds, where a signal can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        sys.audit(OUT_OF_TIME)
        raise TooLong(f"it was still running after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what trials print, warn and log to themselves."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
