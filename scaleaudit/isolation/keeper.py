"""The keeper of one job: forks the child that does it, and ends whatever the child leaves.

The server forks a keeper for every job. The keeper adopts what the child starts and orphans, so
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
import struct
import time
import traceback
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from scaleaudit.isolation.child import Descriptors, perform
from scaleaudit.isolation.jobs import MAX_ANSWER_BYTES, MAX_DUMP_BYTES, STARTED, End, How, Job
from scaleaudit.isolation.processes import (
    adopt_orphans,
    die_with,
    end_descendants,
    kill_group,
)
from scaleaudit.isolation.signals import Bell, changed_children, restore_all

_SIZE = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Pipes:
    """The ends of a job's three pipes that are written to."""

    answer: int
    output: int
    status: int

    def close(self) -> None:
        """Close all of them."""
        for descriptor in (self.answer, self.output, self.status):
            os.close(descriptor)


def keep(job: Job, pipes: Pipes, server: int) -> NoReturn:
    """Run a job in a child, end what it leaves, and report; called in a process of its own."""
    status = 1
    try:
        os.setsid()
        die_with(server)
        adopt_orphans()
        _keep(job, pipes, server)
        status = 0
    except Exception:  # noqa: BLE001  # the command line reads this, then the exit code
        traceback.print_exc()
    finally:
        os._exit(status)


def _keep(job: Job, pipes: Pipes, server: int) -> None:
    bell = Bell()
    memory = mmap.mmap(-1, _SIZE.size + MAX_ANSWER_BYTES)
    dump = os.memfd_create("dump")
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        die_with(keeper)
        os.setsid()
        restore_all()
        bell.close()
        os.close(pipes.answer)
        os.close(pipes.status)
        perform(job, partial(_leave, memory), Descriptors(pipes.output, dump))
    os.close(pipes.output)
    _write(pipes.status, STARTED)
    end = _watched(child, bell, pipes.status, time.monotonic() + job.limits.left)
    if end is None:
        # The command line has gone. A server that was stopped would not notice.
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGCONT)
    kill_group(child)
    end_descendants(keeper)
    if end is not None:
        _write(pipes.answer, _answer_in(memory))
        _write(pipes.status, end.line() + os.pread(dump, MAX_DUMP_BYTES, 0))


def _leave(memory: mmap.mmap, answer: bytes) -> None:
    memory[_SIZE.size : _SIZE.size + len(answer)] = answer
    memory[: _SIZE.size] = _SIZE.pack(len(answer))


def _watched(child: int, bell: Bell, status: int, deadline: float) -> End | None:
    """Wait until a child ends, stops, or takes too long; None once nobody waits for it."""
    poll = select.poll()
    poll.register(bell.woken, select.POLLIN)
    poll.register(status, 0)  # tells only that its reader has gone
    while (left := deadline - time.monotonic()) > 0:
        ready = {descriptor for descriptor, _ in poll.poll(left * 1000)}
        if status in ready:
            return None
        bell.hush()
        for pid, how in changed_children():
            if pid == child:
                return _end(how)
    return End(How.TIMED_OUT)


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
