"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from scaleaudit.cli.formats import FORMATS

CACHE_DIR, NO_CACHE = "SCALEAUDIT_CACHE_DIR", "SCALEAUDIT_NO_CACHE"

rule_folders = click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more rule pages; may be given again.",
)

cache_dir = click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    envvar=CACHE_DIR,
    help="Folder for answers that are kept.  [default: .scaleaudit_cache in the project]",
)

report_format = click.option(
    "--format",
    "shown",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="What to print.",
)

text_cache = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where prepared text is kept.  [default: in the user's cache]",
)
