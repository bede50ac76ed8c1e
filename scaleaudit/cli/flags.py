"""Flags that override settings, and the settings that they make together with files."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from scaleaudit.cli.values import Finite
from scaleaudit.errors import ConfigError

if TYPE_CHECKING:
    from scaleaudit.config import FileIgnores, Settings

LEVELS = ("error", "warning", "note")
# A week, and more memory than any machine has: larger numbers are slips.
_MOST_SECONDS, _MOST_GIB, _MOST_JOBS = 604_800, 65_536, 1024


class SettingsFlags(TypedDict):
    """The flags, by the names that click gives them; None where one was not given."""

    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    per_file_ignores: tuple[str, ...]
    preview: bool | None
    fail_level: str | None
    exit_zero: bool | None
    on_unknown: str | None
    rule_paths: tuple[Path, ...]
    baseline: Path | None
    certify: bool | None
    jobs: int | None
    timeout: float | None
    memory_limit: float | None
    config: Path | None
    isolated: bool


_OPTIONS = (
    click.option(
        "--select",
        multiple=True,
        metavar="CODES",
        help="Apply these rules alone: codes or prefixes with commas between, or ALL.",
    ),
    click.option(
        "--extend-select", multiple=True, metavar="CODES", help="Apply these rules as well."
    ),
    click.option("--ignore", multiple=True, metavar="CODES", help="Leave these rules out."),
    click.option(
        "--per-file-ignores",
        multiple=True,
        metavar="PATTERN:CODES",
        help="Leave these rules out of some files; may be given again.",
    ),
    click.option(
        "--preview/--no-preview", default=None, help="Whether rules in preview are applied."
    ),
    click.option(
        "--fail-level",
        type=click.Choice(LEVELS),
        help="Least severity that makes the exit code 1.  [default: error]",
    ),
    click.option(
        "--exit-zero",
        is_flag=True,
        default=None,
        help="Exit with 0 whatever was found, if every target could be audited.",
    ),
    click.option(
        "--on-unknown",
        type=click.Choice(["fail", "warn"]),
        help="Whether an undecided target makes the exit code 1.  [default: fail]",
    ),
    click.option(
        "--rules",
        "rule_paths",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder with more rule pages; may be given again.",
    ),
    click.option(
        "--baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Accept the findings that this file knows.",
    ),
    click.option(
        "--certify/--no-certify",
        default=None,
        help="Hold the facts against numbers for models of any size, or of none."
        "  [default: where that takes a moment]",
    ),
    click.option("--jobs", type=click.IntRange(1, _MOST_JOBS), help="Targets at a time."),
    click.option(
        "--timeout",
        type=Finite(min=0, min_open=True, max=_MOST_SECONDS),
        metavar="SECONDS",
        help="Time limit for a target, all attempts at it together.  [default: 120]",
    ),
    click.option(
        "--memory-limit",
        type=Finite(min=0, min_open=True, max=_MOST_GIB),
        metavar="GIB",
        help="Memory limit for a target.  [default: 8]",
    ),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Use this file of settings and look for no other.",
    ),
    click.option("--isolated", is_flag=True, help="Use no file of settings."),
)


def settings_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that override settings."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def read_settings(flags: SettingsFlags) -> Settings:
    """Turn flags into settings: those that were given, over what files say.

    Raises:
        ConfigError: A flag holds what it may not.
    """
    from scaleaudit.config import Settings
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import OnUnknown

    if flags["isolated"] and flags["config"]:
        raise ConfigError("--isolated uses no file of settings, and --config names one")
    level, on_unknown = flags["fail_level"], flags["on_unknown"]
    given: dict[str, object] = {
        "select": split_codes(flags["select"]) or None,
        "extend_select": split_codes(flags["extend_select"]) or None,
        "ignore": split_codes(flags["ignore"]) or None,
        "per_file_ignores": _file_ignores(flags["per_file_ignores"]) or None,
        "preview": flags["preview"],
        "fail_level": Severity(level) if level else None,
        "exit_zero": flags["exit_zero"],
        "on_unknown": OnUnknown(on_unknown) if on_unknown else None,
        "rule_paths": flags["rule_paths"] or None,
        "baseline": flags["baseline"],
        "certify": flags["certify"],
        "jobs": flags["jobs"],
        "timeout": flags["timeout"],
        "memory_limit": flags["memory_limit"],
    }
    over = {name: value for name, value in given.items() if value is not None}
    return Settings(over, file=flags["config"], isolated=flags["isolated"])


def split_codes(values: tuple[str, ...]) -> tuple[str, ...]:
    """Read codes or prefixes with commas between."""
    return tuple(
        code.strip().upper() for text in values for code in text.split(",") if code.strip()
    )


def _file_ignores(values: tuple[str, ...]) -> tuple[FileIgnores, ...]:
    from scaleaudit.config import FileIgnores
    from scaleaudit.config.globs import flaw_of

    found = []
    for text in values:
        pattern, _, codes = text.rpartition(":")
        if not pattern or not codes.strip():
            raise ConfigError(
                f"--per-file-ignores takes PATTERN:CODES, not {text!r}",
                hint="Write --per-file-ignores 'tests/**:SCL101,SCL2'.",
            )
        if flaw := flaw_of(pattern):
            raise ConfigError(f"--per-file-ignores: {pattern!r} is no pattern of files: {flaw}")
        found.append(FileIgnores(pattern, Path.cwd(), split_codes((codes,))))
    return tuple(found)
