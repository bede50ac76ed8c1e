"""The parent's side of the fork server: start it, hand it jobs, start it again when it is gone."""

from __future__ import annotations

import threading

from scaleaudit.errors import TargetError
from scaleaudit.isolation.hosting import Host, HostLost
from scaleaudit.isolation.jobs import End, How, Job, RawOutcome


class ForkServer:
    """A process that has loaded torch and forks a fresh child for every job.

    Starting returns at once; the first job waits until torch is loaded. Should a job take the
    process down, those that it interrupts are done again, each in a process of its own, so that
    the one at fault can harm none but itself.
    """

    def __init__(self, preload: tuple[str, ...]) -> None:
        self._preload = preload
        self._changing = threading.Lock()
        self._closed = False
        self._main = Host(preload)
        self._hosts = {self._main}

    def close(self) -> None:
        """End the process and, through it, every job."""
        with self._changing:
            self._closed = True
            hosts = tuple(self._hosts)
        for host in hosts:
            host.close()

    def prepare(self, module: str) -> None:
        """Have a module loaded in the process, for the jobs to come; returns at once."""
        self._main.prepare(module)

    def run(self, job: Job) -> RawOutcome:
        """Run a job in a fresh child and wait for its end; safe to call from several threads."""
        host = self._living()
        try:
            return host.run(job)
        except HostLost as lost:
            if not host.has_served:
                raise TargetError(lost.message, hint=lost.hint) from lost
        return self._run_alone(job)

    def _run_alone(self, job: Job) -> RawOutcome:
        host = self._another()
        try:
            return host.run(job)
        except HostLost:
            return RawOutcome(b"", End(How.ABANDONED), "", 0.0)
        finally:
            host.close()
            with self._changing:
                self._hosts.discard(host)

    def _living(self) -> Host:
        """Return the process for all jobs, a new one where a job took it down.

        One that never served would not do so the next time either.
        """
        with self._changing:
            if self._main.is_lost and self._main.has_served and not self._closed:
                self._hosts.discard(self._main)
                self._main.close()
                self._main = Host(self._preload)
                self._hosts.add(self._main)
            return self._main

    def _another(self) -> Host:
        with self._changing:
            if self._closed:
                raise TargetError("the run was stopped")
            host = Host(self._preload)
            self._hosts.add(host)
        return host
