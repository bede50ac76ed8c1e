"""Run the command line as a user does: in a process of its own, on real files."""

from __future__ import annotations

import os
import subprocess
import sys
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
