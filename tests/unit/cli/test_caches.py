"""Where the cache is, and how many children work at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scaleaudit import api
from scaleaudit.api import Options, audit
from scaleaudit.cli.cache import cache_asked_for, cache_folder
from scaleaudit.config import Settings
from scaleaudit.isolation.pool import Pool, open_pool


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    return tmp_path


def test_the_cache_is_in_the_folder_of_the_settings(project):
    (project / "pyproject.toml").write_text("[tool.scaleaudit]\n")
    assert cache_folder(Settings(), None) == project / ".scaleaudit_cache"


def test_without_settings_it_is_in_the_project_else_where_one_works(project):
    assert cache_folder(Settings(isolated=True), None).parent in {
        project / "inner",
        *project.parents,
    }
    (project / "pyproject.toml").write_text("[project]\n")
    assert cache_folder(Settings(), None) == project / ".scaleaudit_cache"


def test_a_flag_comes_before_the_settings(project):
    (project / "pyproject.toml").write_text('[tool.scaleaudit]\ncache-dir = ".kept"\n')
    assert cache_folder(Settings(), None) == project / ".kept"
    assert cache_folder(Settings(), Path("flag")) == Path("flag")


@pytest.mark.parametrize(("value", "kept"), [("1", False), ("yes", False), ("0", True), ("", True)])
def test_the_environment_speaks_where_there_are_no_flags(project, monkeypatch, value, kept):
    monkeypatch.setenv("SCALEAUDIT_CACHE_DIR", "elsewhere")
    monkeypatch.setenv("SCALEAUDIT_NO_CACHE", value)
    assert cache_asked_for(Settings()) == (Path("elsewhere") if kept else None)


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (7, 7)])
def test_as_many_children_work_as_was_asked_for(project, monkeypatch, asked, given):
    opened = []

    @contextmanager
    def opening(runner, jobs: int, **more: bool) -> Iterator[Pool]:
        opened.append(jobs)
        with open_pool(runner, jobs, **more) as pool:
            yield pool

    monkeypatch.setattr(api, "open_pool", opening)
    (project / "plain.py").write_text("x = 1\n")
    audit([str(project / "plain.py")], Options(jobs=asked, skip_non_models=True))
    assert opened == [given]
