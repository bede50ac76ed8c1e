"""Reports that were written before, read from their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file

if TYPE_CHECKING:
    from scaleaudit.domain.report import Report


def read_report(file: Path) -> Report:
    """Read a report in JSON, or the one that a page of HTML holds.

    Raises:
        ConfigError: The file cannot be read or holds none.
    """
    from scaleaudit.report.embedding import is_page, results_in
    from scaleaudit.report.reading import from_json

    text = read_text(file)
    if not is_page(text):
        return from_json(text, str(file))
    results = results_in(text)
    if results is None:
        raise ConfigError(
            f"{file} is a page that holds no results of scaleaudit",
            hint="Name a page that `scaleaudit check PATH --output html:FILE` wrote.",
        )
    return from_json(results, str(file))


def read_text(file: Path) -> str:
    """Read what a run of ours wrote.

    Raises:
        ConfigError: The file cannot be read, or is no text.
    """
    try:
        return read_file(file).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is nothing that scaleaudit wrote: it is not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
