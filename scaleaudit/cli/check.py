"""`check`: audit models, write the report, and say by the exit code how it went."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from scaleaudit.cli.flags import SettingsFlags, read_settings, settings_flags
from scaleaudit.cli.formats import FORMATS, parse_outputs, render
from scaleaudit.cli.options import cache_dir
from scaleaudit.cli.outcomes import EXIT_CLEAN, EXIT_FOUND, exit_code
from scaleaudit.console import Progress, say, wants_colour, write_atomically

if TYPE_CHECKING:
    from scaleaudit.api import Options
    from scaleaudit.config import Settings


class Flags(SettingsFlags):
    """The options of `check`, by the names that click gives them."""

    shown: str
    outputs: tuple[str, ...]
    show_output: bool
    skip_non_models: bool
    cache_dir: Path | None
    no_cache: bool


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
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
@settings_flags
@click.option("--show-output", is_flag=True, help="Show what the models' code printed.")
@click.option(
    "--skip-non-models",
    is_flag=True,
    help="Accept files without a model, as when a hook hands over all changed files.",
)
@cache_dir
@click.option(
    "--no-cache",
    is_flag=True,
    envvar="SCALEAUDIT_NO_CACHE",
    help="Audit everything anew and keep nothing.",
)
def check(paths: tuple[str, ...], **flags: Unpack[Flags]) -> int:
    """Audit the models in files, folders, or one target as file.py::Name.

    Exit code: 0 nothing found at or above the fail level; 1 something found, or a verdict is
    unknown; 2 wrong usage, or a target that could not be audited.
    """
    from scaleaudit.api import audit
    from scaleaudit.domain.report import OnUnknown

    if not paths and not flags["skip_non_models"]:  # a hook may have nothing to hand over
        raise click.UsageError("Missing argument 'PATH...'.", click.get_current_context())
    files = parse_outputs(flags["outputs"])
    settings = read_settings(flags)
    config = settings.for_run()
    options = _options(settings, flags)
    progress, warnings = Progress(sys.stderr), list[str]()
    try:
        report = audit(paths, options, progress.show, warnings.append)
    finally:
        progress.clear()
    for warning in warnings:
        say(f"warning: {warning}")
    show_output = flags["show_output"]
    for form, file in files:
        write_atomically(file, render(report, form, colour=False, show_output=show_output))
    click.echo(
        render(report, flags["shown"], colour=wants_colour(sys.stdout), show_output=show_output),
        nl=False,
        color=True,
    )
    unknown_fails = config.on_unknown is OnUnknown.FAIL
    code = exit_code(report, config.fail_level, unknown_fails=unknown_fails)
    return EXIT_CLEAN if config.exit_zero and code == EXIT_FOUND else code


def _options(settings: Settings, flags: Flags) -> Options:
    from scaleaudit.api import Options
    from scaleaudit.cli.cache import cache_folder

    return Options.of(
        settings,
        skip_non_models=flags["skip_non_models"],
        cache=None if flags["no_cache"] else cache_folder(settings, flags["cache_dir"]),
    )
