"""One fork server as its parent sees it: a process that takes jobs, and may be gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import uuid

from scaleaudit.domain.reads import OWN_FOLDER
from scaleaudit.isolation.interpreters import interpreter
from scaleaudit.isolation.jobs import Job, RawOutcome, encode_job
from scaleaudit.isolation.messages import send
from scaleaudit.isolation.processes import end_all, marked
from scaleaudit.isolation.watching import Watch

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from scaleaudit.isolation.server import main; main(int(sys.argv[2]), sys.argv[3], sys.argv[4:])"
)
# To end all jobs takes milliseconds, unless the machine is drowning.
_GRACE_SECONDS = 10.0
_MARK = "SCALEAUDIT_HOST"
_TORCH_HINT = "Check that `python -c 'import torch'` works in this environment."


class HostLost(Exception):  # noqa: N818  # an event, not a mistake of the caller's
    """The process is gone, and the job with it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = _TORCH_HINT


class Host:
    """A process that loads torch and then serves jobs, each in a child."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self._sending, self._ending = threading.Lock(), threading.Lock()
        self._asked = False
        self.has_served = self.is_lost = False
        # Whatever a job starts inherits this, and is found by it if all else fails.
        self._mark = uuid.uuid4().hex
        # What jobs, and torch, put among temporary files goes with the process.
        self._folder = tempfile.mkdtemp(prefix="scaleaudit-")
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
                interpreter(_BOOT, str(theirs.fileno()), self._folder, *preload),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env={
                    **os.environ,
                    _MARK: self._mark,
                    "TMPDIR": self._folder,
                    OWN_FOLDER: self._folder,
                },
                # Ctrl-C reaches the command line alone, which then ends the jobs in order.
                start_new_session=True,
            )

    def close(self) -> None:
        """End the process and, through it, every job."""
        self._requests.close()
        if not self._asked:
            # It may still be loading torch, for nothing, and has no child to clean up.
            self._process.kill()
        self._end(_GRACE_SECONDS)
        self._errors.close()

    def _end(self, patience: float) -> int:
        """Wait for the process to end by itself, else kill it, and all that it left."""
        with self._ending:
            try:
                code = self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                code = self._process.wait()
            if code != 0 and self._asked:
                end_all(lambda: marked(f"{_MARK}={self._mark}"))
            shutil.rmtree(self._folder, ignore_errors=True)
            return code

    def prepare(self, module: str) -> None:
        """Have a module loaded before the next job; returns at once."""
        # Should the process be gone, the next job will find out.
        with self._sending, contextlib.suppress(OSError):
            send(self._requests, module.encode())

    def run(self, job: Job) -> RawOutcome:
        """Run a job in a fresh child and wait for its end; safe to call from several threads.

        Raises:
            HostLost: The process ended, or stopped answering, before the job was done.
        """
        pipes = [os.pipe() for _ in range(3)]
        try:
            self._send(job, [write for _, write in pipes])
        finally:
            for _, write in pipes:
                os.close(write)
        watch = Watch(job.limits.left, self._wake, *(read for read, _ in pipes))
        try:
            raw = watch.wait()
            self.has_served = self.has_served or watch.started
            if raw is None:
                raise self._lost()
            return raw
        finally:
            for read, _ in pipes:
                os.close(read)

    def _wake(self) -> None:
        # A job may have stopped its parents.
        self._process.send_signal(signal.SIGCONT)

    def _send(self, job: Job, descriptors: list[int]) -> None:
        body = encode_job(job)
        with self._sending:
            self._asked = True
            try:
                send(self._requests, body, descriptors)
            except OSError as error:
                raise self._lost() from error

    def _lost(self) -> HostLost:
        """Bury the process and say why it is gone."""
        self.is_lost = True
        code = self._end(1.0)
        with contextlib.suppress(ValueError):  # closed meanwhile
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            last = printed.splitlines()[-1] if printed else "it printed nothing"
            return HostLost(f"the process that loads torch ended with exit code {code}: {last}")
        return HostLost("the process that loads torch was ended")
