"""Where there is no browser, tests are skipped and say why; where one is required, they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from browsing import NEEDED, REQUIRED, is_required, what_is_missing

HERE = Path(__file__).parent
ANY_TEST = f"{HERE / 'test_pages_in_browser.py'}::test_a_page_that_does_what_it_must_not_is_caught"


@pytest.mark.parametrize(
    ("demand", "code", "told"), [("", 0, "1 skipped"), ("required", 1, "1 error")]
)
def test_without_a_browser(demand: str, code: int, told: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), REQUIRED: demand}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", ANY_TEST],
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert told in done.stdout
    assert "no browser is on the path (chromium, " in done.stdout


def test_the_reason_names_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert f"the Python package {NEEDED[0]} is not installed" in what_is_missing()


def test_a_browser_is_required_where_that_is_said() -> None:
    assert is_required({REQUIRED: "required"})
    assert not is_required({REQUIRED: ""})
    assert not is_required({})


def test_continuous_integration_requires_one() -> None:
    script = HERE.parents[1] / ".ci" / "run"
    assert f"export {REQUIRED}=required" in script.read_text(encoding="utf-8").splitlines()
