"""Where answers are kept, and `clean`, which removes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scaleaudit.cli.options import cache_dir

if TYPE_CHECKING:
    from scaleaudit.config import Settings

_FOLDER = ".scaleaudit_cache"
_PROJECT = "pyproject.toml"


def cache_folder(settings: Settings, given: Path | None) -> Path:
    """Return the folder of the cache: the one given, else the settings', else the project's."""
    folder = given or settings.for_run().cache_dir
    if folder is not None:
        return folder
    source = settings.source()
    return (source.place.file.parent if source else _project(Path.cwd())) / _FOLDER


def _project(folder: Path) -> Path:
    """Return the nearest folder above with a project file, else the folder itself."""
    above = (each for each in (folder, *folder.parents) if (each / _PROJECT).is_file())
    return next(above, folder)


@click.command()
@cache_dir
def clean(cache_dir: Path | None) -> None:
    """Remove the cache of the project."""
    from scaleaudit.caching.store import clean as remove
    from scaleaudit.config import Settings
    from scaleaudit.console import say
    from scaleaudit.errors import ConfigError

    folder = cache_folder(Settings(), cache_dir)
    try:
        removed = remove(folder)
    except OSError as error:
        raise ConfigError(
            f"the cache cannot be removed: {error.strerror or error}",
            where=str(folder),
            hint="Remove the folder by hand, if it is one.",
        ) from error
    say(f"removed {folder}" if removed else f"there is no cache at {folder}")
