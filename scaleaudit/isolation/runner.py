"""Choose how children are made, and run jobs in them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from scaleaudit.errors import ScaleAuditError, TargetError
from scaleaudit.isolation.jobs import Job, Outcome, RawOutcome, trouble_of
from scaleaudit.isolation.judging import judge

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
    # Whoever needs no child needs none of what starts them.
    if sys.platform == "linux":
        from scaleaudit.isolation.forking import ForkServer as Chosen  # noqa: PLC0415
    else:
        from scaleaudit.isolation.spawning import Spawner as Chosen  # noqa: PLC0415
    return Chosen(preload)


class OnDemand:
    """A runner that is started when it is first needed, or closed without that.

    Args:
        start: Starts it; returns before it is ready.
    """

    def __init__(self, start: Callable[[], Runner]) -> None:
        self._make = start
        self._changing = threading.Lock()
        self._runner: Runner | None = None
        self._closed = False

    def start(self) -> Runner:
        """Start it, unless that was done.

        Raises:
            TargetError: It was closed.
        """
        with self._changing:
            if self._closed:
                raise TargetError("the run was stopped")
            self._runner = self._runner or self._make()
            return self._runner

    def run(self, job: Job) -> RawOutcome:
        """Run a job and wait for its end."""
        return self.start().run(job)

    def prepare(self, module: str) -> None:
        """Have a module loaded for the jobs to come."""
        self.start().prepare(module)

    def close(self) -> None:
        """End every job."""
        with self._changing:
            self._closed = True
        if self._runner is not None:
            self._runner.close()


def run(runner: Runner, job: Job, expected: type[Value]) -> Outcome[Value]:
    """Run a job and read its answer as the expected type."""
    try:
        raw = runner.run(job)
    except ScaleAuditError as error:
        return Outcome(None, trouble_of(error), "", 0.0)
    return judge(raw, job, expected)
