"""The keeper of one job at a time: forks the child that does it, and ends what the child leaves.

The server has a keeper for every job that is under way, and hands it the next one when all that
a job left has ended. The keeper adopts what the child starts and orphans, so
nothing gets away by leaving its group or session. It has an end of the status pipe, so it knows
when the command line has gone. It dies with the server, and the child dies with it.

The child has no descriptor of ours to close or to scribble on: its answer is left in memory that
the two share.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import socket
import struct
import time
import traceback
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from scaleaudit.isolation.child import Descriptors, perform
from scaleaudit.isolation.jobs import (
    MAX_ANSWER_BYTES,
    MAX_DUMP_BYTES,
    STARTED,
    End,
    How,
    Job,
    decode_job,
)
from scaleaudit.isolation.messages import receive
from scaleaudit.isolation.processes import (
    adopt_orphans,
    die_with,
    end_descendants,
    kill_group,
)
from scaleaudit.isolation.signals import Bell, changed_children, restore_all
from scaleaudit.isolation.vitals import Vitals

# What a keeper says when a job and all of it has ended.
DONE = b"d"
_SIZE = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Pipes:
    """The ends of a job's three pipes that are written to."""

    answer: int
    output: int
    status: int


def keep(line: socket.socket, server: int, vitals: Vitals) -> NoReturn:
    """Run jobs, each in a child, end what they leave, and report; called in a process of its own.

    Args:
        line: Says which jobs, and is told when one is done; once it closes, none is to come.
        server: The process at its other end.
        vitals: What the children rely on.
    """
    status = 1
    try:
        os.setsid()
        die_with(server)
        adopt_orphans()
        keeper = Keeper(line, server, vitals)
        while message := receive(line):
            keeper.run(decode_job(message.body), Pipes(*message.descriptors))
            line.send(DONE)
        status = 0
    except Exception:  # noqa: BLE001  # the command line reads this, then the exit code
        traceback.print_exc()
    finally:
        os._exit(status)


class Keeper:
    """What a keeper has at hand from job to job."""

    def __init__(self, line: socket.socket, server: int, vitals: Vitals) -> None:
        self._line = line
        self._server = server
        self._vitals = vitals
        self._pid = os.getpid()
        self._bell = Bell()

    def run(self, job: Job, pipes: Pipes) -> None:
        """Run a job in a fresh child, and leave nothing of it."""
        dump = os.memfd_create("dump")
        with mmap.mmap(-1, _SIZE.size + MAX_ANSWER_BYTES) as memory:
            child = os.fork()
            if child == 0:
                self._become_child(pipes)
                descriptors = Descriptors(pipes.output, dump)
                perform(job, partial(_leave, memory), descriptors, self._vitals)
            os.close(pipes.output)
            _write(pipes.status, STARTED)
            end = self._watched(child, pipes.status, time.monotonic() + job.limits.left)
            if end is None:
                # The command line has gone. A server that was stopped would not notice.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._server, signal.SIGCONT)
            kill_group(child)
            end_descendants(self._pid)
            if end is not None:
                _write(pipes.answer, _answer_in(memory))
                _write(pipes.status, end.line() + os.pread(dump, MAX_DUMP_BYTES, 0))
        for descriptor in (dump, pipes.answer, pipes.status):
            os.close(descriptor)

    def _become_child(self, pipes: Pipes) -> None:
        die_with(self._pid)
        os.setsid()
        restore_all()
        self._bell.close()
        self._line.close()
        os.close(pipes.answer)
        os.close(pipes.status)

    def _watched(self, child: int, status: int, deadline: float) -> End | None:
        """Wait until a child ends, stops, or takes too long; None once nobody waits for it."""
        poll = select.poll()
        poll.register(self._bell.woken, select.POLLIN)
        poll.register(status, 0)  # tells only that its reader has gone
        while (left := deadline - time.monotonic()) > 0:
            ready = {descriptor for descriptor, _ in poll.poll(left * 1000)}
            if status in ready:
                return None
            self._bell.hush()
            for pid, how in changed_children():
                if pid == child:
                    return _end(how)
        return End(How.TIMED_OUT)


def _leave(memory: mmap.mmap, answer: bytes) -> None:
    memory[_SIZE.size : _SIZE.size + len(answer)] = answer
    memory[: _SIZE.size] = _SIZE.pack(len(answer))


def _end(status: int) -> End:
    if os.WIFSTOPPED(status):
        return End(How.STOPPED, os.WSTOPSIG(status))
    return End.of(os.waitstatus_to_exitcode(status))


def _answer_in(memory: mmap.mmap) -> bytes:
    (size,) = _SIZE.unpack(memory[: _SIZE.size])
    return memory[_SIZE.size : _SIZE.size + min(size, MAX_ANSWER_BYTES)]


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    # The command line may have gone; there is nobody to tell then.
    with contextlib.suppress(BrokenPipeError):
        while view:
            view = view[os.write(descriptor, view) :]
