from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaleaudit.isolation.processes import descendants, kill

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc")

# Its first thread ends, as that of a process that is being killed may before the others.
HALF_DEAD = """
import ctypes, os, threading, time
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(60)
    os._exit(0)
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print(child, flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
ENDS_IT = """
import os, subprocess, sys
from scaleaudit.isolation.processes import adopt_orphans, end_descendants
adopt_orphans()
started = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child = int(started.stdout.readline())
end_descendants(os.getpid())
print(child, started.pid)
"""


@pytest.fixture
def half_dead() -> Iterator[tuple[int, int]]:
    with subprocess.Popen([sys.executable, "-c", HALF_DEAD], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            _wait_until(lambda: _state(process.pid) == "Z")
            yield process.pid, child
        finally:
            kill((process.pid, child))


def test_a_process_lives_on_in_its_other_threads_and_keeps_its_children(half_dead):
    assert set(half_dead) <= set(descendants(os.getpid()))


def test_a_process_that_has_ended_and_was_not_reaped_is_none_that_lives():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    _wait_until(lambda: _state(pid) == "Z")
    assert pid not in descendants(os.getpid())
    os.waitpid(pid, 0)


def test_nothing_is_left_of_a_family_that_dies_in_parts():
    command = [sys.executable, "-c", ENDS_IT, HALF_DEAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert [pid for pid in done.stdout.split() if Path(f"/proc/{pid}").exists()] == []


def _wait_until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
