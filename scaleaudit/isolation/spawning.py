"""A fresh interpreter for every job, for systems where forking with torch loaded is not safe."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from typing import IO, BinaryIO, NoReturn

from scaleaudit.errors import TargetError
from scaleaudit.isolation.buffers import Kept
from scaleaudit.isolation.child import Descriptors, perform
from scaleaudit.isolation.interpreters import interpreter
from scaleaudit.isolation.jobs import (
    MAX_ANSWER_BYTES,
    MAX_OUTPUT_BYTES,
    STARTED,
    End,
    How,
    Job,
    RawOutcome,
    decode_job,
    encode_job,
)
from scaleaudit.isolation.processes import end_all, kill_group, marked
from scaleaudit.isolation.vitals import Vitals

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from scaleaudit.isolation.spawning import main; main(sys.argv[2:])"
)
# Loading torch takes seconds; on a cold network disk it may take minutes.
_START_SECONDS = 300.0
# How long an orphan lives that is too busy to notice that it is one.
_ORPHAN_SECONDS = 30.0
# What is left in the pipes of a dead process is read at once.
_READ_SECONDS = 1.0
_CHUNK = 1 << 16
_MARK = "SCALEAUDIT_JOB"
_LENGTH = struct.Struct("!I")


class Spawner:
    """Starts a new interpreter for every job: slower than a fork, and works everywhere.

    Args:
        preload: Modules that every child loads before its time runs.
    """

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self._preload = preload
        self._changing = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def prepare(self, module: str) -> None:
        """Do nothing: what one interpreter has loaded no other has."""

    def close(self) -> None:
        """End every job."""
        with self._changing:
            self._closed = True
            for process in self._running:
                _end(process)

    def run(self, job: Job) -> RawOutcome:
        """Run a job in a fresh interpreter and wait for its end."""
        # Whatever the job starts inherits this, and is found by it where the system tells.
        mark = uuid.uuid4().hex
        process = self._start(mark)
        try:
            return _follow(process, job)
        finally:
            _end(process)
            end_all(lambda: marked(f"{_MARK}={mark}"))
            process.wait()
            _hang_up(process.stdin)
            with self._changing:
                self._running.discard(process)

    def _start(self, mark: str) -> subprocess.Popen[bytes]:
        with self._changing:
            if self._closed:
                raise TargetError("the run was stopped")
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
                interpreter(_BOOT, *self._preload),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, _MARK: mark},
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _follow(process: subprocess.Popen[bytes], job: Job) -> RawOutcome:
    answer, output = _Stream(process.stdout, MAX_ANSWER_BYTES), _Stream(process.stderr)
    # The pipe of requests stays open: its end tells the child that we have gone.
    with contextlib.suppress(BrokenPipeError):
        _ask(process.stdin, job)
    answer.has_come.wait(_START_SECONDS)
    started = time.monotonic()
    try:
        end = End.of(process.wait(job.limits.left))
    except subprocess.TimeoutExpired:
        end = End(How.TIMED_OUT)
    seconds = time.monotonic() - started
    _end(process)
    found = answer.read().removeprefix(STARTED)
    return RawOutcome(found, end, output.text(), seconds)


def _ask(requests: IO[bytes] | None, job: Job) -> None:
    assert requests is not None
    body = encode_job(job)
    requests.write(_LENGTH.pack(len(body)) + body)
    requests.flush()


def _hang_up(requests: IO[bytes] | None) -> None:
    assert requests is not None
    with contextlib.suppress(OSError):  # what was not read cannot be sent any more
        requests.close()


class _Stream:
    """What a child writes to one pipe, read by a thread of its own."""

    def __init__(self, pipe: IO[bytes] | None, limit: int = MAX_OUTPUT_BYTES) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._kept = Kept(limit)
        self.has_come = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), _CHUNK):
                self._kept.add(chunk)
                self.has_come.set()
        self.has_come.set()

    def read(self) -> bytes:
        """Return what came; what the child left behind may hold the pipe open for ever."""
        self._thread.join(_READ_SECONDS)
        return b"" if self._kept.left_out else bytes(self._kept)

    def text(self) -> str:
        """Return the end of what came, as text."""
        self._thread.join(_READ_SECONDS)
        return self._kept.text()


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        kill_group(process.pid)


def main(preload: list[str]) -> NoReturn:
    """Be the child: the job comes on stdin, the answer goes to what was stdout."""
    for module in preload:
        # What fails here fails again in the job, which can say so.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    requests, answer = os.fdopen(os.dup(0), "rb", buffering=0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    (size,) = _LENGTH.unpack(_exactly(requests, _LENGTH.size))
    job = decode_job(_exactly(requests, size))
    sys.argv = ["scaleaudit"]
    _end_with_parent(requests, job.limits.left)
    write = os.write

    def send(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[write(answer, view) :]

    send(STARTED)
    perform(job, send, Descriptors(output=2, dump=2), Vitals())


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            os._exit(0)  # nobody asks any more
        parts += part
    return parts


def _end_with_parent(requests: BinaryIO, seconds: float) -> None:
    """End this process, and what it started, when the one that asked has gone."""

    def wait() -> None:
        try:
            requests.read(1)
        except OSError:  # closed by the user's code: it will not tell us anything
            return
        kill_group(os.getpgrp()) if sys.platform != "win32" else os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform != "win32":
        # The thread needs Python's attention, which a loop in C withholds.
        signal.setitimer(signal.ITIMER_REAL, seconds + _ORPHAN_SECONDS)
