"""How a report came about: the command, the date, the versions, and the revision of the sources."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from scaleaudit.cli.lazy import TYPED
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.domain.report import Report, Run

# The formats that tell of it.
_TELLING = frozenset({"json", "html"})
# https://reproducible-builds.org/specs/source-date-epoch
_EPOCH = "SOURCE_DATE_EPOCH"
# Seconds that git may take; what it would say is not worth more.
_PATIENCE = 10


def this_run(formats: Iterable[str]) -> Run | None:
    """Describe this run, where a format of its report tells of it.

    Raises:
        ConfigError: The environment sets a date that is none.
    """
    if _TELLING.isdisjoint(formats):
        return None
    from scaleaudit.domain.report import Run

    context = click.get_current_context(silent=True)
    typed = context.meta.get(TYPED, ()) if context else ()
    commit = _git("rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else ""
    return Run(typed, _date(), platform.python_version(), commit, bool(changes))


def with_provenance(report: Report, run: Run | None) -> Report:
    """Add how a report came about, and the sources that it is to quote."""
    if run is None:
        return report
    from scaleaudit.domain.places import all_places
    from scaleaudit.sources import read_sources

    known = dict(report.sources)
    named = {place.path: None for target in report.targets for place in all_places(target)}
    more = read_sources(path for path in named if path not in known)
    return replace(report, run=run, sources=(*report.sources, *more))


def _date() -> str:
    epoch = os.environ.get(_EPOCH)
    if not epoch:
        return _spelled(datetime.now(UTC))
    try:
        return _spelled(datetime.fromtimestamp(int(epoch), UTC))
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"{_EPOCH} is {epoch!r}, and no number of seconds since 1970",
            hint="Correct it, or unset it for the date of today.",
        ) from None


def _spelled(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _git(*arguments: str) -> str:
    """Ask git of the working directory; nothing where there is no git or no repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        # A repository may name a program to watch files with, and must not have it run.
        done = subprocess.run(  # noqa: S603  # arguments are given one by one, through no shell
            (git, "-c", "core.fsmonitor=false", *arguments),
            capture_output=True,
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else ""
