"""Takes all runs of the calibration through processes that each do a share of them."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.calibration.cases import Case, shares
from benchmarks.calibration.records import Record
from benchmarks.calibration.worker import Work
from scaleaudit.domain.probing import ProbeRequest

_WORKER = (sys.executable, "-m", "benchmarks.calibration.worker")
# Each process has one core to itself.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class _Over:
    """A process has ended."""

    def __init__(self, code: int) -> None:
        self.code = code


def sweep(
    cases: Sequence[Case], request: ProbeRequest, jobs: int, seconds: float | None
) -> Iterator[Record]:
    """Yield the record of every run, as they end.

    Args:
        seconds: After how long no run is started that would not be over.

    Raises:
        RuntimeError: A process broke down.
    """
    until = None if seconds is None else time.time() + seconds
    said: queue.Queue[Record | _Over] = queue.Queue()
    started = [_start(Work(tuple(share), request, until)) for share in shares(cases, jobs)]
    for process in started:
        threading.Thread(target=_listen, args=(process, said), daemon=True).start()
    running = len(started)
    try:
        while running:
            match said.get():
                case _Over(code=code):
                    running -= 1
                    if code:
                        raise RuntimeError(f"a process of the calibration ended with code {code}")
                case record:
                    yield record
    finally:
        for process in started:
            process.terminate()


def _start(work: Work) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(_WORKER, stdin=pipe, stdout=pipe, env={**os.environ, **_ONE_THREAD})
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(work) + b"\n")
    process.stdin.close()
    return process


def _listen(process: subprocess.Popen[bytes], said: queue.Queue[Record | _Over]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        said.put(msgspec.json.decode(line, type=Record))
    said.put(_Over(process.wait()))
