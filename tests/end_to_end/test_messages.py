"""Every message of every way to an error, as the user reads it; none shows a traceback.

The messages stand in ``expected/messages.expected``, which ``--update-expected`` rewrites. That no
way is left out is checked against the package's syntax trees.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "messages"))

import command_cases
import comparing_cases
import monitor_cases
import page_cases
import probe_cases
import reference_cases
import settings_cases
import target_cases
import training_cases
import weights_cases
from sites import Site, all_sites, watched

CASES = [
    case
    for module in (
        command_cases,
        comparing_cases,
        monitor_cases,
        settings_cases,
        page_cases,
        probe_cases,
        reference_cases,
        target_cases,
        training_cases,
        weights_cases,
    )
    for case in module.cases()
]
# What no test of one process leads to, and why.
UNREACHED: dict[str, str] = {
    "cli/rules.py:new": "somebody writes the same page at the same time",
    "isolation/forking.py:ForkServer.run": "the process that starts children dies at its start",
    "isolation/forking.py:ForkServer._another": "Ctrl-C arrives while a child is started again",
    "pytest_plugin.py:pytest_configure": "pytest itself is given settings that are not in order",
}


@pytest.fixture(scope="module")
def provoked(tmp_path_factory):
    """Provoke every case once; returns what was told, and the lines that were at work."""
    told: dict[str, str] = {}
    with watched() as lines, pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "SCALEAUDIT_CACHE_DIR"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "80")
        yield tmp_path_factory, patch, told, lines


@pytest.fixture
def run(provoked, capsys):
    factory, patch, told, _ = provoked

    def run(case):
        if case.name not in told:
            folder = factory.mktemp("case")
            case.prepare(folder)
            patch.chdir(folder)
            told[case.name] = case.told(capsys)
        return told[case.name]

    return run


def test_every_message_is_as_recorded(run, expect):
    assert len({case.name for case in CASES}) == len(CASES)
    pages = [f"== {case.name}\n{run(case)}" for case in CASES]
    expect("messages", "\n".join(pages))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_message_shows_a_traceback_or_a_bare_exception(run, case):
    told = run(case)
    assert told.strip()
    assert "Traceback" not in told
    assert "this is a bug" not in told or case.name == "a_bug"


def test_every_place_that_makes_an_error_is_provoked(run, provoked):
    for case in CASES:
        run(case)
    lines = provoked[3]
    missed = [str(site) for site in all_sites() if not _hit(site, lines) and not _excused(site)]
    assert not missed, f"add cases to tests/end_to_end/messages that provoke {', '.join(missed)}"


def test_no_excuse_outlives_its_reason(run, provoked):
    for case in CASES:
        run(case)
    known = {f"{site.file}:{site.function}" for site in all_sites() if not _hit(site, provoked[3])}
    assert set(UNREACHED) <= known


def _hit(site: Site, lines: set[tuple[str, int]]) -> bool:
    return any((site.file, line) in lines for line in site.lines)


def _excused(site: Site) -> bool:
    return f"{site.file}:{site.function}" in UNREACHED
