"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

rule_folders = click.option(
    "--rules",
    "rule_paths",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more rule pages; may be given again.",
)
