"""One browser for all pages, and pages that are written once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "unit" / "report", HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from browsing import is_required, started, what_is_missing  # noqa: E402
from pages import PAGES  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    missing = what_is_missing()
    if missing and is_required():
        pytest.fail(missing, pytrace=False)
    if missing:
        pytest.skip(missing)
    with started() as found:
        yield found


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write a page by its name and return its file; once, however often it is asked for."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def write(name: str) -> Path:
        file = folder / f"{name}.html"
        file.write_text(PAGES[name](), encoding="utf-8")
        return file

    return write
