"""The parent's side of the fork server: start it, hand it jobs, read what they leave."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import scaleaudit
from scaleaudit.errors import TargetError
from scaleaudit.isolation.buffers import Kept
from scaleaudit.isolation.jobs import (
    MAX_ANSWER_BYTES,
    MAX_OUTPUT_BYTES,
    Job,
    RawOutcome,
    encode_job,
)
from scaleaudit.isolation.server import LENGTH, kill_group

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from scaleaudit.isolation.server import main; main(int(sys.argv[2]), sys.argv[3:])"
)
# Loading torch takes seconds; on a cold network disk it may take minutes.
_START_SECONDS = 300.0
# A killed child is reported within milliseconds, unless the machine is drowning.
_GRACE_SECONDS = 10.0
_CHUNK = 1 << 16
# The server writes two lines to a status pipe: the process id, then the exit status.
_STATUS_LINES = 2


def interpreter(boot: str, *arguments: str) -> list[str]:
    """Return the command of a Python that can import this package and shadows nothing.

    Without -P the working directory would come first on the path, and a user's ``types.py``
    would break the standard library.
    """
    root = str(Path(scaleaudit.__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-c", boot, root, *arguments]


class ForkServer:
    """A process that has loaded torch and forks a fresh child for every job.

    Starting returns at once; the first job waits until torch is loaded.
    """

    def __init__(self, preload: tuple[str, ...]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the server
        self._sending = threading.Lock()
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
                interpreter(_BOOT, str(theirs.fileno()), *preload),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                # Ctrl-C reaches the command line alone, which then ends the jobs in order.
                start_new_session=True,
            )

    def close(self) -> None:
        """End the server and, through it, every job."""
        self._requests.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def run(self, job: Job) -> RawOutcome:
        """Run a job in a fresh child and wait for its end; safe to call from several threads."""
        pipes = [os.pipe() for _ in range(3)]
        try:
            self._send(job, [write for _, write in pipes])
        finally:
            for _, write in pipes:
                os.close(write)
        watch = _Watch(job.limits.seconds, *(read for read, _ in pipes))
        try:
            return watch.wait(self._check_alive)
        finally:
            for read, _ in pipes:
                os.close(read)

    def _send(self, job: Job, descriptors: list[int]) -> None:
        body = encode_job(job)
        with self._sending:
            try:
                socket.send_fds(self._requests, [LENGTH.pack(len(body))], descriptors)
                self._requests.sendall(body)
            except OSError:
                self._check_alive()
                raise

    def _check_alive(self) -> None:
        code = self._process.poll()
        if code is not None:
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            last = printed.splitlines()[-1] if printed else "it printed nothing"
            raise TargetError(
                f"the process that loads torch ended with exit code {code}: {last}",
                hint="Check that `python -c 'import torch'` works in this environment.",
            )


class _Watch:
    """Follows one child through its three pipes until it has ended or its time is up."""

    def __init__(self, seconds: float, answer: int, output: int, status: int) -> None:
        self._seconds = seconds
        self._answer = Kept(MAX_ANSWER_BYTES)
        self._output = Kept(MAX_OUTPUT_BYTES)
        self._status = Kept(MAX_OUTPUT_BYTES)
        self._streams = {answer: self._answer, output: self._output, status: self._status}
        self._status_pipe = status
        self._started = time.monotonic()
        self._pid: int | None = None
        self._timed_out = False

    def wait(self, check_server: Callable[[], None]) -> RawOutcome:
        """Read until the child has ended; kill it when its time is up.

        Args:
            check_server: Raises where the fork server is gone.
        """
        with selectors.DefaultSelector() as selector:
            for pipe in self._streams:
                os.set_blocking(pipe, False)
                selector.register(pipe, selectors.EVENT_READ)
            while self._status_pipe in selector.get_map():
                for key, _ in selector.select(self._remaining()):
                    self._read(key.fd, selector)
                self._note_start()
                self._enforce()
            # The child is gone; what is still in its pipes is all that will come.
            for key in list(selector.get_map().values()):
                self._read(key.fd, selector)
        return self._outcome(check_server)

    def _read(self, pipe: int, selector: selectors.BaseSelector) -> None:
        try:
            while chunk := os.read(pipe, _CHUNK):
                self._streams[pipe].add(chunk)
                if self._remaining() <= 0:
                    return
        except BlockingIOError:
            return
        selector.unregister(pipe)

    def _note_start(self) -> None:
        line, ended, _ = bytes(self._status).partition(b"\n")
        if self._pid is None and ended:
            self._pid = int(line)
            self._started = time.monotonic()

    def _remaining(self) -> float:
        limit = _START_SECONDS if self._pid is None else self._seconds
        if self._timed_out:
            limit += _GRACE_SECONDS
        return self._started + limit - time.monotonic()

    def _enforce(self) -> None:
        if self._answer.left_out and self._pid is not None:
            kill_group(self._pid)
        if self._remaining() > 0:
            return
        if self._pid is None or self._timed_out:
            raise TargetError(
                "the process that loads torch does not answer",
                hint="Check that `python -c 'import torch'` works in this environment.",
            )
        self._timed_out = True
        kill_group(self._pid)

    def _outcome(self, check_server: Callable[[], None]) -> RawOutcome:
        lines = bytes(self._status).split()
        if len(lines) != _STATUS_LINES:
            check_server()
            raise TargetError("the process that loads torch ended before its job did")
        status = None if self._timed_out else int(lines[-1])
        answer = b"" if self._answer.left_out else bytes(self._answer)
        seconds = time.monotonic() - self._started
        return RawOutcome(answer, status, self._output.text(), seconds)
