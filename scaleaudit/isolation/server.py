"""The fork server: loads torch once, then has every job done in a fresh child of a keeper.

Runs in a process of its own (see forking.py). Over its socket come encoded jobs with three
descriptors (answer, output, status); a keeper does the rest. A message without descriptors is
the name of a module to load for the jobs to come. When the socket closes,
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
import sys
import traceback
from dataclasses import dataclass

from scaleaudit.isolation.jobs import End, How
from scaleaudit.isolation.keeper import DONE, keep
from scaleaudit.isolation.messages import Message, receive, send
from scaleaudit.isolation.processes import (
    adopt_orphans,
    descendants,
    end_all,
    end_descendants,
)
from scaleaudit.isolation.signals import Bell, changed_children, ignore_all
from scaleaudit.isolation.vitals import Vitals


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


@dataclass(slots=True)
class _Keeper:
    """A keeper as the server sees it.

    Attributes:
        line: Takes jobs, and says when one is done.
        status: The status pipe of the job that it has, None while it has none.
        outdated: Whether more has been loaded since it was forked.
    """

    pid: int
    line: socket.socket
    status: int | None = None
    outdated: bool = False


class Server:
    """Hands jobs to keepers, forks those that are missing and buries those that ended, in one thread."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._pid = os.getpid()
        self._keepers: dict[int, _Keeper] = {}
        self._bell = Bell()
        self._vitals = Vitals()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Handle requests and ended keepers until the socket closes; leave no process behind."""
        self._selector.register(self._requests, selectors.EVENT_READ)
        self._selector.register(self._bell.woken, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            end_descendants(self._pid)

    def _turn(self) -> bool:
        for key, _ in self._selector.select():
            if key.fileobj is self._requests:
                message = receive(self._requests)
                if message is None:
                    return False
                self._take(message)
            elif isinstance(key.data, _Keeper):
                self._hear(key.data)
            else:
                self._bell.hush()
                self._bury()
        return True

    def _take(self, message: Message) -> None:
        if message.descriptors:
            self._hand_over(message)
        else:
            self._load(message.body.decode())

    def _load(self, module: str) -> None:
        load([module])
        self._vitals = Vitals()
        for keeper in self._keepers.values():
            keeper.outdated = True
            self._dismiss_if_outdated(keeper)

    def _hand_over(self, message: Message) -> None:
        answer, output, status = message.descriptors
        idle = (each for each in self._keepers.values() if _is_free(each))
        keeper = next(idle, None) or self._fork(message.descriptors)
        keeper.status = status
        # Should it have been killed, it is about to be buried.
        with contextlib.suppress(OSError):
            send(keeper.line, message.body, message.descriptors)
        os.close(answer)
        os.close(output)

    def _fork(self, descriptors: tuple[int, ...]) -> _Keeper:
        """Start a keeper, without descriptors that it is to be sent."""
        line, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                line.close()
                self._let_go(descriptors)
                keep(theirs, self._pid, self._vitals)
            finally:
                os._exit(1)  # on no account become a second server
        theirs.close()
        keeper = self._keepers[pid] = _Keeper(pid, line)
        self._selector.register(line, selectors.EVENT_READ, keeper)
        return keeper

    def _let_go(self, descriptors: tuple[int, ...]) -> None:
        """Close what a keeper inherits and is none of its own."""
        for descriptor in descriptors:
            os.close(descriptor)
        self._selector.close()
        self._bell.close()
        self._requests.close()
        for keeper in self._keepers.values():
            keeper.line.close()
            if keeper.status is not None:
                os.close(keeper.status)

    def _hear(self, keeper: _Keeper) -> None:
        """Let the command line know that a job is done; a keeper that says nothing has ended."""
        said = b""
        with contextlib.suppress(OSError):
            said = keeper.line.recv(len(DONE), socket.MSG_DONTWAIT)
        if not said:
            self._hang_up(keeper)
            return
        if keeper.status is not None:
            os.close(keeper.status)
            keeper.status = None
        self._dismiss_if_outdated(keeper)

    def _dismiss_if_outdated(self, keeper: _Keeper) -> None:
        if keeper.outdated and keeper.status is None:
            self._hang_up(keeper)

    def _hang_up(self, keeper: _Keeper) -> None:
        if keeper.line.fileno() >= 0:
            self._selector.unregister(keeper.line)
            keeper.line.close()

    def _bury(self) -> None:
        for pid, status in list(changed_children()):
            if os.WIFSTOPPED(status):
                os.kill(pid, signal.SIGCONT)
                continue
            keeper = self._keepers.pop(pid, None)
            if keeper is None:
                continue
            # It may have ended after its work, and before it was heard.
            self._hear(keeper)
            self._hang_up(keeper)
            if keeper.status is not None:
                self._stand_in(keeper.status, status)
                os.close(keeper.status)

    def _stand_in(self, descriptor: int, status: int) -> None:
        """Do what a keeper that ended left undone; its orphans are ours now."""
        end_all(self._strangers)
        # The command line may have gone; its socket will say so.
        with contextlib.suppress(BrokenPipeError):
            os.write(descriptor, End(How.UNWATCHED, os.waitstatus_to_exitcode(status)).line())

    def _strangers(self) -> list[int]:
        """Return the descendants that no keeper watches over."""
        return descendants(self._pid, spared=self._keepers)


def _is_free(keeper: _Keeper) -> bool:
    return keeper.status is None and keeper.line.fileno() >= 0
