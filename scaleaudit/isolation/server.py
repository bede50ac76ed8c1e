"""The fork server: loads torch once, then forks a fresh child for every job.

Runs in a process of its own (see forking.py). Over its socket it receives a length, three
descriptors (answer, output, status) and an encoded job. To the status descriptor it writes the
child's process id once forked, and its exit status once ended. When the socket closes, whatever
the reason, every child is killed: a job never outlives the command line that asked for it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from typing import NoReturn

from scaleaudit.isolation.child import perform
from scaleaudit.isolation.jobs import Job, decode_job

LENGTH = struct.Struct("!I")
DESCRIPTORS = 3


def main(descriptor: int, preload: list[str]) -> None:
    """Serve jobs from an inherited socket until it closes."""
    # The user's code shall find a clean command line, not ours.
    sys.argv = ["scaleaudit"]
    for module in preload:
        # What fails here fails again in the child, which can say so.
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001
            traceback.print_exc()
    # Objects alive now are shared with every child; the collector must not touch their pages.
    gc.collect()
    gc.freeze()
    status = 1
    try:
        Server(socket.socket(fileno=descriptor)).serve()
        status = 0
    except Exception:  # noqa: BLE001  # its parent reads this, then the exit code
        traceback.print_exc()
    finally:
        # Nothing is left to tidy up, and to take torch down in order takes a while.
        sys.stderr.flush()
        os._exit(status)


class Server:
    """Forks children and reaps them, in one thread."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._status_of: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def serve(self) -> None:
        """Handle requests and ended children until the socket closes; leave no child behind."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            try:
                while self._turn(selector):
                    pass
            finally:
                for pid in self._status_of:
                    kill_group(pid)

    def _turn(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            if key.fileobj is self._requests:
                request = self._receive()
                if request is None:
                    return False
                self._fork(*request)
            else:
                os.read(self._woken, 4096)
                self._reap()
        return True

    def _receive(self) -> tuple[Job, list[int]] | None:
        header, descriptors, _, _ = socket.recv_fds(self._requests, LENGTH.size, DESCRIPTORS)
        if len(header) < LENGTH.size or len(descriptors) < DESCRIPTORS:
            return None
        (size,) = LENGTH.unpack(header)
        body = bytearray()
        while len(body) < size:
            chunk = self._requests.recv(size - len(body))
            if not chunk:
                return None
            body += chunk
        return decode_job(bytes(body)), descriptors

    def _fork(self, job: Job, descriptors: list[int]) -> None:
        answer, output, status = descriptors
        pid = os.fork()
        if pid == 0:
            self._become_child(job, answer, output, status)
        # Both sides do this, so that neither can be too late to kill the group.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._status_of[pid] = status
        os.close(answer)
        os.close(output)
        _report(status, f"{pid}\n")

    def _become_child(self, job: Job, answer: int, output: int, status: int) -> NoReturn:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._requests.close()
        for descriptor in (self._woken, self._wake, status, *self._status_of.values()):
            os.close(descriptor)
        perform(job, answer, output)

    def _reap(self) -> None:
        while self._status_of:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # Processes that the user's code started go with it.
            kill_group(pid)
            descriptor = self._status_of.pop(pid, None)
            if descriptor is not None:
                _report(descriptor, f"{os.waitstatus_to_exitcode(status)}\n")
                os.close(descriptor)


def kill_group(pid: int) -> None:
    """Kill a child and all that it started; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _report(descriptor: int, text: str) -> None:
    # The command line may have gone; its socket will say so.
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, text.encode())
