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
_TORCH_HINT = "Check that `python -c 'import torch'` works in this environment."


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
        self._asked = False
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
        if not self._asked:
            # It may still be loading torch, for nothing, and has no child to clean up.
            self._process.kill()
        try:
            self._process.wait(_GRACE_SECONDS)
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
        watch = _Watch(job.limits.left, *(read for read, _ in pipes))
        try:
            raw = watch.wait()
            if raw is None:
                raise self._explain_end()
            return raw
        finally:
            for read, _ in pipes:
                os.close(read)

    def _send(self, job: Job, descriptors: list[int]) -> None:
        body = encode_job(job)
        with self._sending:
            self._asked = True
            try:
                socket.send_fds(self._requests, [LENGTH.pack(len(body))], descriptors)
                self._requests.sendall(body)
            except OSError as error:
                raise self._explain_end() from error

    def _explain_end(self) -> TargetError:
        """Say why the server is gone; called once one of its pipes has closed."""
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return TargetError("the process that loads torch does not answer", hint=_TORCH_HINT)
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").strip()
        last = printed.splitlines()[-1] if printed else "it printed nothing"
        return TargetError(
            f"the process that loads torch ended with exit code {code}: {last}", hint=_TORCH_HINT
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

    def wait(self) -> RawOutcome | None:
        """Read until the child has ended, killed when its time is up; None without a server."""
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
        return self._outcome()

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
            raise TargetError("the process that loads torch does not answer", hint=_TORCH_HINT)
        self._timed_out = True
        kill_group(self._pid)

    def _outcome(self) -> RawOutcome | None:
        lines = bytes(self._status).split()
        if len(lines) != _STATUS_LINES:
            return None
        status = None if self._timed_out else int(lines[-1])
        answer = b"" if self._answer.left_out else bytes(self._answer)
        seconds = time.monotonic() - self._started
        return RawOutcome(answer, status, self._output.text(), seconds)
