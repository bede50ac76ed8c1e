"""A process of the calibration: reads what to run as a line of JSON, writes a line a run.

Started as ``python -m benchmarks.calibration.worker``. It starts no run that would not be over in
time, judged by the longest so far.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from benchmarks.calibration.cases import Case
from benchmarks.calibration.running import Runner
from scaleaudit.domain.probing import ProbeRequest


@dataclass(frozen=True, slots=True)
class Work:
    """What a process is given to do.

    Attributes:
        until: The time, in seconds since the epoch, at which it has to be done.
    """

    cases: tuple[Case, ...]
    request: ProbeRequest
    until: float | None = None


def main() -> None:
    """Run what standard input asks for."""
    work = msgspec.json.decode(sys.stdin.buffer.readline(), type=Work)
    torch.set_num_threads(1)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        run = Runner(Path(folder), work.request)
        for case in work.cases:
            began = time.time()
            if work.until is not None and began + slowest > work.until:
                break
            line = msgspec.json.encode(run(case))
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
            slowest = max(slowest, time.time() - began)


if __name__ == "__main__":
    main()
