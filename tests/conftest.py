"""Shared by all tests: golden files, and one thread for everything that computes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# What a test audits is audited by the code as it is, in its own time; tests of the cache turn it on.
os.environ["SCALEAUDIT_NO_CACHE"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-expected",
        action="store_true",
        help="Rewrite the .expected files from what the code says now; review the diff.",
    )


def pytest_collection_finish() -> None:
    """Mark off what was loaded to collect tests, as is done before children are forked.

    Every capture looks for generators of random numbers among the modules that may be the user's,
    so those that torch loads with the first fake tensor come before the mark.
    """
    if "torch" in sys.modules:
        from scaleaudit.capture._torch_private import DEFERRABLE_MODULES

        for name in DEFERRABLE_MODULES:
            importlib.import_module(name)
    importlib.import_module("scaleaudit.capture.settled")


@pytest.fixture
def expect(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file expected/NAME.expected beside the test."""
    folder = Path(request.path).parent / "expected"

    def compare(name: str, text: str) -> None:
        file = folder / f"{name}.expected"
        if request.config.getoption("--update-expected"):
            folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{file} is missing; write it with --update-expected"
        assert text == file.read_text(encoding="utf-8")

    return compare
