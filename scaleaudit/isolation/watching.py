"""Follow one job from outside, through its pipes, until it has ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Callable

from scaleaudit.isolation.buffers import Kept
from scaleaudit.isolation.jobs import (
    MAX_ANSWER_BYTES,
    MAX_OUTPUT_BYTES,
    STARTED,
    End,
    RawOutcome,
)

# Loading torch takes seconds; on a cold network disk it may take minutes.
START_SECONDS = 300.0
# The keeper ends a job in time; how long until it is given up, on a machine that drowns.
_GRACE_SECONDS = 10.0
_LOOK_EVERY = 1.0
_CHUNK, _CHUNKS = 1 << 16, 64


class Watch:
    """The three pipes of a job, read as they fill.

    Args:
        seconds: How long the job may take.
        wake: Called every second, to wake who should be working.
    """

    def __init__(
        self, seconds: float, wake: Callable[[], None], answer: int, output: int, status: int
    ) -> None:
        self._seconds = seconds
        self._wake = wake
        self._answer = Kept(MAX_ANSWER_BYTES)
        self._output = Kept(MAX_OUTPUT_BYTES)
        self._status = Kept(MAX_OUTPUT_BYTES)
        self._streams = {answer: self._answer, output: self._output, status: self._status}
        self._status_pipe = status
        self._since = time.monotonic()
        self.started = False

    def wait(self) -> RawOutcome | None:
        """Read until the job has ended; None if nobody is left to say how, or nobody does."""
        with selectors.DefaultSelector() as selector:
            for pipe in self._streams:
                os.set_blocking(pipe, False)
                selector.register(pipe, selectors.EVENT_READ)
            while self._status_pipe in selector.get_map():
                # Looked at before reading: we may have slept while all was done.
                late = self._left() <= 0
                for key, _ in selector.select(0 if late else min(self._left(), _LOOK_EVERY)):
                    self._read(key.fd, selector)
                if late and self._status_pipe in selector.get_map():
                    return None
                self._note_start()
                self._wake()
            # The child is gone; what is still in its pipes is all that will come.
            for key in list(selector.get_map().values()):
                self._read(key.fd, selector)
        return self._outcome()

    def _read(self, pipe: int, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(BlockingIOError):
            # Not all that comes: the other pipes have their turn.
            for _ in range(_CHUNKS):
                chunk = os.read(pipe, _CHUNK)
                if not chunk:
                    selector.unregister(pipe)
                    return
                self._streams[pipe].add(chunk)

    def _note_start(self) -> None:
        if not self.started and bytes(self._status).startswith(STARTED):
            self.started = True
            self._since = time.monotonic()

    def _left(self) -> float:
        limit = self._seconds + _GRACE_SECONDS if self.started else START_SECONDS
        return self._since + limit - time.monotonic()

    def _outcome(self) -> RawOutcome | None:
        line, said, dump = bytes(self._status).removeprefix(STARTED).partition(b"\n")
        if not said:
            return None
        return RawOutcome(
            bytes(self._answer),
            End.read(line),
            self._output.text(),
            time.monotonic() - self._since,
            dump.decode(errors="replace"),
        )
