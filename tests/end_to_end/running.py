"""Run the command line as a user does: in a process of its own, on real files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str


def environment() -> dict[str, str]:
    """Return the environment without what would change colours."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_COLOR")}


@contextmanager
def signals_heard() -> Iterator[None]:
    """Start processes that answer signals, whatever started the tests (`nohup`, `&`) ignores.

    What ignores a signal passes that on, what handles it does not.
    """
    ignored = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def scaleaudit(*arguments: str, cwd: Path = ROOT) -> Run:
    """Run ``scaleaudit`` and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-m", "scaleaudit", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)
