"""`check`: audit models, write the report, and say by the exit code how it went."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from scaleaudit.cli.formats import FORMATS, parse_outputs, render
from scaleaudit.cli.options import rule_folders
from scaleaudit.cli.outcomes import exit_code
from scaleaudit.console import Progress, say, wants_colour, write_atomically

if TYPE_CHECKING:
    from scaleaudit.config import Config
    from scaleaudit.isolation.jobs import Limits

LEVELS = ("error", "warning", "note")
# A week, and more memory than any machine has: larger numbers are slips.
_MOST_SECONDS, _MOST_GIB = 604_800, 65_536


class Flags(TypedDict):
    """The options of `check`, by the names that click gives them."""

    shown: str
    outputs: tuple[str, ...]
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    fail_level: str | None
    on_unknown: str | None
    rule_paths: tuple[Path, ...]
    certify: bool | None
    jobs: int | None
    timeout: float | None
    memory_limit: float | None
    show_output: bool
    skip_non_models: bool


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--format",
    "shown",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="What to print.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT:FILE",
    help="Write a format to a file as well; may be given again.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    help="Apply these rules alone: codes or prefixes, with commas between.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODES",
    help="Leave these rules out: codes or prefixes, with commas between.",
)
@click.option(
    "--fail-level",
    type=click.Choice(LEVELS),
    help="Least severity that makes the exit code 1.  [default: error]",
)
@click.option(
    "--on-unknown",
    type=click.Choice(["fail", "warn"]),
    help="Whether an undecided target makes the exit code 1.  [default: fail]",
)
@rule_folders
@click.option(
    "--certify/--no-certify",
    default=None,
    help="Hold the facts against numbers for models of any size, or of none."
    "  [default: where that takes a moment]",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Targets at a time.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=_MOST_SECONDS),
    metavar="SECONDS",
    help="Time limit for a target, all attempts at it together.  [default: 120]",
)
@click.option(
    "--memory-limit",
    type=click.FloatRange(min=0, min_open=True, max=_MOST_GIB),
    metavar="GIB",
    help="Memory limit for a target.  [default: 8]",
)
@click.option("--show-output", is_flag=True, help="Show what the models' code printed.")
@click.option(
    "--skip-non-models",
    is_flag=True,
    help="Accept files without a model, as when a hook hands over all changed files.",
)
def check(paths: tuple[str, ...], **flags: Unpack[Flags]) -> int:
    """Audit the models in files, folders, or one target as file.py::Name.

    Exit code: 0 nothing found at or above the fail level; 1 something found, or a verdict is
    unknown; 2 wrong usage, or a target that could not be audited.
    """
    from scaleaudit.isolation.workers import start_workers

    files = parse_outputs(flags["outputs"])
    with closing(start_workers()) as workers:  # torch loads while we read on
        from scaleaudit.api import Options, audit
        from scaleaudit.config import load_config
        from scaleaudit.domain.report import OnUnknown

        config = _overridden(load_config(Path.cwd()), flags)
        options = Options(
            select=tuple(c for c in config.select if c != "ALL"),
            ignore=config.ignore,
            rule_paths=(*config.rule_paths, *flags["rule_paths"]),
            limits=_limits(flags),
            jobs=flags["jobs"] or 0,
            skip_non_models=flags["skip_non_models"],
        )
        progress = Progress(sys.stderr)
        try:
            report = audit(paths, options, workers, progress.show)
        finally:
            progress.clear()
    show_output = flags["show_output"]
    for form, file in files:
        write_atomically(file, render(report, form, colour=False, show_output=show_output))
    click.echo(
        render(report, flags["shown"], colour=wants_colour(sys.stdout), show_output=show_output),
        nl=False,
        color=True,
    )
    return exit_code(report, config.fail_level, unknown_fails=config.on_unknown is OnUnknown.FAIL)


def _overridden(config: Config, flags: Flags) -> Config:
    from dataclasses import replace

    from scaleaudit.api import ALWAYS_REPORTED
    from scaleaudit.domain.finding import Severity
    from scaleaudit.domain.report import OnUnknown

    level, on_unknown = flags["fail_level"], flags["on_unknown"]
    chosen = replace(
        config,
        select=_codes(flags["select"]) or config.select,
        ignore=_codes(flags["ignore"]) or config.ignore,
        fail_level=Severity(level) if level else config.fail_level,
        on_unknown=OnUnknown(on_unknown) if on_unknown else config.on_unknown,
        rule_paths=config.rule_paths,
    )
    for code in sorted(set(chosen.ignore) & set(ALWAYS_REPORTED)):
        say(f"warning: {code} cannot be ignored: without an audit there is no verdict")
    return chosen


def _codes(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        code.strip().upper() for text in values for code in text.split(",") if code.strip()
    )


def _limits(flags: Flags) -> Limits:
    from scaleaudit.domain.attempts import Certify
    from scaleaudit.isolation.jobs import DEFAULT_LIMITS, Limits

    asked = {None: Certify.SMALL, True: Certify.ANY, False: Certify.NEVER}
    memory = flags["memory_limit"]
    return Limits(
        certify=asked[flags["certify"]],
        seconds=flags["timeout"] or DEFAULT_LIMITS.seconds,
        memory=int(memory * 2**30) if memory else DEFAULT_LIMITS.memory,
    )
