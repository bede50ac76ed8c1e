"""Choose how children are made, and run jobs in them."""

from __future__ import annotations

import sys
from typing import Protocol, TypeVar

from scaleaudit.errors import ScaleAuditError
from scaleaudit.isolation.jobs import Job, Outcome, RawOutcome, trouble_of
from scaleaudit.isolation.judging import judge
from scaleaudit.isolation.spawning import Spawner

if sys.platform == "linux":
    from scaleaudit.isolation.forking import ForkServer

Value = TypeVar("Value")


class Runner(Protocol):
    """Something that runs jobs in fresh processes."""

    def run(self, job: Job) -> RawOutcome:
        """Run a job and wait for its end."""

    def prepare(self, module: str) -> None:
        """Have a module loaded for the jobs to come, where that is done once for all."""

    def close(self) -> None:
        """End every job."""


def start_runner(preload: tuple[str, ...]) -> Runner:
    """Start what makes children here; returns before it is ready.

    Only on Linux: macOS forbids much after a fork, and Windows has none.

    Args:
        preload: Modules that every child has loaded when it starts.
    """
    return ForkServer(preload) if sys.platform == "linux" else Spawner(preload)


def run(runner: Runner, job: Job, expected: type[Value]) -> Outcome[Value]:
    """Run a job and read its answer as the expected type."""
    try:
        raw = runner.run(job)
    except ScaleAuditError as error:
        return Outcome(None, trouble_of(error), "", 0.0)
    return judge(raw, job, expected)
