"""Settings of a project: what they may be, where they are found, and which of them count."""

from pathlib import Path

from scaleaudit.config.files import files_above
from scaleaudit.config.keys import KEYS, Config, FileIgnores
from scaleaudit.config.settings import Settings
from scaleaudit.config.words import did_you_mean
from scaleaudit.domain.laws import DeclaredLaw

__all__ = ["KEYS", "Config", "FileIgnores", "Settings", "did_you_mean", "laws_for", "load_config"]


def load_config(folder: Path) -> Config:
    """Read the settings nearest to a folder; defaults where there are none.

    Raises:
        ConfigError: A file of settings is not in order.
    """
    found = next(files_above(folder.resolve()), None)
    return Config() if found is None else found.config


def laws_for(path: Path) -> tuple[DeclaredLaw, ...]:
    """Return the laws that the settings above a file declare, those of the nearest last.

    Raises:
        ConfigError: A file of settings is not in order.
    """
    return Settings().laws_for(path)
