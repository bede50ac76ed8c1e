"""Cold start, as ratios to ``import torch`` in the same run: ``python -m benchmarks.cold``.

Every command starts a new process; nothing is kept between them. The commands take turns, so that
whatever else the machine does falls on all of them alike, and medians are compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "scaleaudit/reference/targets.py::per_loop_rmsnorm_129m"
SEVENTY_BILLION = "tests/models/big_meta.py::big_meta"

PYTHON = (sys.executable,)
SCALEAUDIT = (*PYTHON, "-m", "scaleaudit")
IMPORT_TORCH = (*PYTHON, "-c", "import torch")
COMMANDS = {
    "import torch": IMPORT_TORCH,
    "scaleaudit --help": (*SCALEAUDIT, "--help"),
    "scaleaudit check (129m reference, cold)": (*SCALEAUDIT, "check", REFERENCE),
}
# Exit codes that mean the command did its work; the reference audited here is a blind one.
_DONE = (0, 1)


def seconds(command: Sequence[str]) -> float:
    """Return the wall time of one run of a command, which must do its work."""
    started = time.perf_counter()
    _run(command)
    return time.perf_counter() - started


def peak_memory(command: Sequence[str]) -> float:
    """Return the largest resident memory, in GB, of any process that a command starts."""
    reader, writer = os.pipe()
    child = os.fork()  # a process of its own, whose children are the command's alone
    if child == 0:
        _run(command)
        kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        os.write(writer, str(kilobytes).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return int(answer.read()) * 1024 / 1e9


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in _DONE:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    """Measure, and print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of every command")
    rounds = parser.parse_args().rounds
    for command in COMMANDS.values():
        seconds(command)  # fills the file cache and writes the byte code
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    unit = statistics.median(times["import torch"])
    for name, measured in times.items():
        median = statistics.median(measured)
        spread = f"{min(measured):.2f} to {max(measured):.2f} s"
        print(f"{name:<42} {median:6.2f} s   {median / unit:5.2f} x import torch   ({spread})")
    torch, audit = (
        peak_memory(command) for command in (IMPORT_TORCH, (*SCALEAUDIT, "check", SEVENTY_BILLION))
    )
    print(
        f"{'peak memory, 70 billion parameters (meta)':<42} {audit:6.2f} GB  {audit / torch:5.2f} x"
    )


if __name__ == "__main__":
    main()
