"""Reports that were written before, read from their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file

if TYPE_CHECKING:
    from scaleaudit.domain.report import Report


def read_report(file: Path) -> Report:
    """Read a report in JSON.

    Raises:
        ConfigError: The file cannot be read or holds none.
    """
    from scaleaudit.report.reading import from_json

    try:
        text = read_file(file).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no report of scaleaudit: it is not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    return from_json(text, str(file))
