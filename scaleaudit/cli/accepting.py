"""Flags that accept what is found: in a baseline, or by comments in the sources."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.acceptance import Accepting
    from scaleaudit.config import Settings

# What --write-baseline is followed by is a path to audit unless it ends so.
_SUFFIX = ".json"


class AcceptanceFlags(TypedDict):
    """The flags, by the names that click gives them."""

    write_baseline: str | None
    prune_baseline: bool
    add_ignores: bool
    reason: str | None


_OPTIONS = (
    click.option(
        "--write-baseline",
        is_flag=False,
        flag_value="",
        metavar="[FILE.json]",
        help="Accept all that is found, in the file of --baseline, else .scaleaudit-baseline.json.",
    ),
    click.option(
        "--prune-baseline",
        is_flag=True,
        help="Take out of the baseline what the audited files no longer have.",
    ),
    click.option(
        "--add-ignores",
        is_flag=True,
        help="Accept all that is found, by comments written into the sources.",
    ),
    click.option("--reason", metavar="TEXT", help="What these comments give as the reason."),
)


def acceptance_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that accept what is found."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def with_path(paths: tuple[str, ...], flags: AcceptanceFlags) -> tuple[str, ...]:
    """Return the paths to audit, with one that --write-baseline was followed by."""
    given = flags["write_baseline"]
    return (given, *paths) if given and not given.endswith(_SUFFIX) else paths


def read_acceptance(
    settings: Settings, flags: AcceptanceFlags, tell: Callable[[str], None]
) -> tuple[Settings, Accepting]:
    """Return the settings with the baseline to go by, and what is accepted from now on.

    Args:
        tell: Told what was written.

    Raises:
        ConfigError: The flags contradict each other.
    """
    from scaleaudit.acceptance import Accepting
    from scaleaudit.triage.annotating import REASON
    from scaleaudit.triage.triaging import Renewal

    asked = _asked(flags)
    if len(asked) > 1:
        raise ConfigError(
            f"{' and '.join(asked)} cannot be done at once", hint="Run them one after the other."
        )
    known = baseline_in_use(settings, flags)
    if flags["prune_baseline"] and known is None:
        raise ConfigError("--prune-baseline needs a baseline", hint="Name it with --baseline FILE.")
    renewal = Renewal.PRUNE if flags["prune_baseline"] else Renewal.KEEP
    if flags["write_baseline"] is not None:
        renewal = Renewal.WRITE
        named = settings.for_run().baseline if "baseline" in settings.flags else None
        if named and known and named.absolute() != known.absolute():
            raise ConfigError(f"--baseline names {named}, and --write-baseline {known}")
        settings = settings.with_flags({"baseline": known})
    reason = REASON if flags["reason"] is None else _reason(flags["reason"], asked)
    return settings, Accepting(renewal, flags["add_ignores"], reason, tell)


def baseline_in_use(settings: Settings, flags: AcceptanceFlags) -> Path | None:
    """Return the file of accepted findings that is read or written; None for none."""
    from scaleaudit.triage.baseline import DEFAULT_FILE

    known, written = settings.for_run().baseline, flags["write_baseline"]
    return known if written is None else _file(written) or known or Path(DEFAULT_FILE)


def how_to_go_by(settings: Settings, flags: AcceptanceFlags) -> str:
    """Say how later runs go by the baseline that this one writes; empty where they do already."""
    written, known = baseline_in_use(settings, flags), settings.for_run().baseline
    if flags["write_baseline"] is None or written is None:
        return ""
    if known is not None and known.absolute() == written.absolute():
        return ""
    return (
        f"later runs go by it with --baseline {written}, or with the key baseline in the settings"
    )


def _asked(flags: AcceptanceFlags) -> list[str]:
    given = {
        "--write-baseline": flags["write_baseline"] is not None,
        "--prune-baseline": flags["prune_baseline"],
        "--add-ignores": flags["add_ignores"],
    }
    return [flag for flag, is_given in given.items() if is_given]


def _file(given: str) -> Path | None:
    return Path(given) if given.endswith(_SUFFIX) else None


def _reason(text: str, asked: list[str]) -> str:
    if "--add-ignores" not in asked:
        raise ConfigError("--reason is for the comments of --add-ignores")
    if not text.isprintable():
        raise ConfigError(f"--reason must be one line of text, not {text!r}")
    return text.strip()
