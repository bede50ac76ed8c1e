"""The fork server: loads torch once, then forks a keeper with a fresh child for every job.

Runs in a process of its own (see forking.py). Over its socket it receives a length, three
descriptors (answer, output, status) and an encoded job; the keeper does the rest. Without
descriptors it is the name of a module to load for the jobs to come. When the socket closes,
whatever the reason, every job is ended: none outlives the command line that asked for it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import traceback

from scaleaudit.isolation.jobs import End, How, Job, decode_job
from scaleaudit.isolation.keeper import Pipes, keep
from scaleaudit.isolation.processes import (
    adopt_orphans,
    descendants,
    end_all,
    end_descendants,
)
from scaleaudit.isolation.signals import Bell, changed_children, ignore_all

LENGTH = struct.Struct("!I")
DESCRIPTORS = 3


def main(descriptor: int, folder: str, preload: list[str]) -> None:
    """Serve jobs from an inherited socket until it closes.

    Args:
        folder: For temporary files; removed in the end, as the command line may be gone.
        preload: Modules that every child has loaded when it starts.
    """
    # The user's code shall find a clean command line, not ours.
    sys.argv = ["scaleaudit"]
    load(preload)
    ignore_all()
    adopt_orphans()
    status = 1
    try:
        Server(socket.socket(fileno=descriptor)).serve()
        status = 0
    except Exception:  # noqa: BLE001  # its parent reads this, then the exit code
        traceback.print_exc()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # Nothing else is left to tidy up, and to take torch down in order takes a while.
        sys.stderr.flush()
        os._exit(status)


def load(modules: list[str]) -> None:
    """Import modules that children then share."""
    for module in modules:
        # What fails here fails again in the child, which can say so.
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001
            traceback.print_exc()
    # Objects alive now are shared with every child; the collector must not touch their pages.
    gc.collect()
    gc.freeze()


class Server:
    """Forks keepers and buries them, in one thread."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._pid = os.getpid()
        self._status_of: dict[int, int] = {}
        self._bell = Bell()

    def serve(self) -> None:
        """Handle requests and ended keepers until the socket closes; leave no process behind."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            selector.register(self._bell.woken, selectors.EVENT_READ)
            try:
                while self._turn(selector):
                    pass
            finally:
                end_descendants(self._pid)

    def _turn(self, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            if key.fileobj is self._requests:
                request = self._receive()
                if request is None:
                    return False
                body, descriptors = request
                if descriptors:
                    self._fork(decode_job(body), Pipes(*descriptors))
                else:
                    load([body.decode()])
            else:
                self._bell.hush()
                self._bury()
        return True

    def _receive(self) -> tuple[bytes, list[int]] | None:
        header, descriptors, _, _ = socket.recv_fds(self._requests, LENGTH.size, DESCRIPTORS)
        if len(header) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack(header)
        body = bytearray()
        while len(body) < size:
            chunk = self._requests.recv(size - len(body))
            if not chunk:
                return None
            body += chunk
        return bytes(body), descriptors

    def _fork(self, job: Job, pipes: Pipes) -> None:
        keeper = os.fork()
        if keeper == 0:
            try:
                self._bell.close()
                self._requests.close()
                for status in self._status_of.values():
                    os.close(status)
                keep(job, pipes, self._pid)
            finally:
                os._exit(1)  # on no account become a second server
        self._status_of[keeper] = pipes.status
        os.close(pipes.answer)
        os.close(pipes.output)

    def _bury(self) -> None:
        for pid, status in list(changed_children()):
            if os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGCONT)
                continue
            descriptor = self._status_of.pop(pid, None)
            if descriptor is None:
                continue
            if status != 0:
                self._stand_in(descriptor, status)
            os.close(descriptor)

    def _stand_in(self, descriptor: int, status: int) -> None:
        """Do what a keeper that was killed left undone; its orphans are ours now."""
        end_all(self._strangers)
        # The command line may have gone; its socket will say so.
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, End(How.UNWATCHED, os.waitstatus_to_exitcode(status)).line())

    def _strangers(self) -> list[int]:
        """Return the descendants that no keeper watches over."""
        return descendants(self._pid, spared=self._status_of)
