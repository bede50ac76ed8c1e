"""A fresh interpreter for every job, for systems where forking with torch loaded is not safe."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import IO

from scaleaudit.isolation.buffers import Kept
from scaleaudit.isolation.child import perform
from scaleaudit.isolation.forking import interpreter
from scaleaudit.isolation.jobs import (
    MAX_ANSWER_BYTES,
    MAX_OUTPUT_BYTES,
    Job,
    RawOutcome,
    decode_job,
    encode_job,
)
from scaleaudit.isolation.server import kill_group

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from scaleaudit.isolation.spawning import main; main()"
)
# What the interpreter takes to start is not the job's time.
_START_SECONDS = 5.0
_CHUNK = 1 << 16


class Spawner:
    """Starts a new interpreter for every job: slower than a fork, and works everywhere."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def close(self) -> None:
        """End every job."""
        for process in list(self._running):
            _end(process)

    def run(self, job: Job) -> RawOutcome:
        """Run a job in a fresh interpreter and wait for its end."""
        started = time.monotonic()
        with subprocess.Popen(  # noqa: S603  # our own interpreter and code
            interpreter(_BOOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            self._running.add(process)
            try:
                answer, output, status = _follow(process, job)
            finally:
                _end(process)
                self._running.discard(process)
        kept = b"" if answer.left_out else bytes(answer)
        return RawOutcome(kept, status, output.text(), time.monotonic() - started)


def _follow(process: subprocess.Popen[bytes], job: Job) -> tuple[Kept, Kept, int | None]:
    answer, output = Kept(MAX_ANSWER_BYTES), Kept(MAX_OUTPUT_BYTES)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        threading.Thread(target=_drain, args=(pipe, kept), daemon=True)
        for pipe, kept in ((process.stdout, answer), (process.stderr, output))
    ]
    for reader in readers:
        reader.start()
    with contextlib.suppress(BrokenPipeError), process.stdin as requests:
        requests.write(encode_job(job))
    status: int | None
    try:
        status = process.wait(job.limits.left + _START_SECONDS)
    except subprocess.TimeoutExpired:
        status = None
    _end(process)
    for reader in readers:
        reader.join()
    return answer, output, status


def _drain(pipe: IO[bytes], kept: Kept) -> None:
    while chunk := os.read(pipe.fileno(), _CHUNK):
        kept.add(chunk)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        kill_group(process.pid)


def main() -> None:
    """Be the child: the job comes on stdin, the answer goes to what was stdout."""
    job = decode_job(sys.stdin.buffer.read())
    sys.argv = ["scaleaudit"]
    answer = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    perform(job, answer, output=2)
