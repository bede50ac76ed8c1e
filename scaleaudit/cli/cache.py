"""Where answers are kept, and `clean`, which removes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scaleaudit.cli.options import CACHE_DIR, NO_CACHE, cache_dir

if TYPE_CHECKING:
    from scaleaudit.config import Settings

_FOLDER = ".scaleaudit_cache"
_PROJECT = "pyproject.toml"
# What click takes for no.
_NO = frozenset({"", "0", "f", "false", "n", "no", "off"})


def cache_folder(settings: Settings, given: Path | None) -> Path:
    """Return the folder of the cache: the one given, else the settings', else the project's."""
    folder = given or settings.for_run().cache_dir
    if folder is not None:
        return folder
    source = settings.source()
    return (source.place.file.parent if source else _project(Path.cwd())) / _FOLDER


def cache_asked_for(settings: Settings) -> Path | None:
    """Return the folder of the cache where there are no flags but the environment; None for none."""
    if os.environ.get(NO_CACHE, "").lower() not in _NO:
        return None
    given = os.environ.get(CACHE_DIR)
    return cache_folder(settings, Path(given) if given else None)


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
