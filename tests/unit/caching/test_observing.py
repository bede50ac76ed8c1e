"""An answer is believed while all that was looked at is as it was, and no longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scaleaudit.caching.observing import Observer
from scaleaudit.domain.reads import Read, Seen, Sort


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "config.yaml").write_text("width: 8\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    (tmp_path / "helper.py").write_text("X = 1\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "README").write_text("nothing to do with it")
    return tmp_path


def seen(project: Path, *reads: Read) -> Seen:
    """What was looked at a while after the files were written."""
    return Seen(time.time_ns() + 10**10, reads)


def at(sort: Sort, path: Path, part: str = "") -> Read:
    return Read(sort, str(path), part, path.exists())


FILE, ABSENT = "config.yaml", "missing.yaml"
CHANGES = {
    "a file's content": lambda p: (p / FILE).write_text("width: 9\n"),
    "a file that is gone": lambda p: (p / FILE).unlink(),
    "a file that is a folder now": lambda p: ((p / FILE).unlink(), (p / FILE).mkdir()),
    "a file that was not there": lambda p: (p / ABSENT).touch(),
    "a folder with another file": lambda p: (p / "data" / "b.txt").touch(),
    "a folder with a file less": lambda p: (p / "data" / "a.txt").unlink(),
    "a module that comes first": lambda p: (p / "einops.py").touch(),
    "a package that comes first": lambda p: ((p / "einops").mkdir(), (p / "einops" / "__init__.py").touch()),
    "a folder that is a package now": lambda p: (p / "parts" / "__init__.py").touch(),
    "a module that is gone": lambda p: (p / "helper.py").unlink(),
    "a compiled module": lambda p: (p / "helper.abi3.so").touch(),
}  # fmt: skip
NO_CHANGES = {
    "nothing": lambda _: None,
    "the same content": lambda p: (p / FILE).write_text("width: 8\n"),
    "a date": lambda p: os.utime(p / FILE, (1, 1)),
    "another file": lambda p: (p / "README").write_text("news"),
    "another module": lambda p: (p / "train.py").write_text("import torch"),
    "the content of what is only listed": lambda p: (p / "data" / "a.txt").write_text("b"),
    "byte code": lambda p: (p / "__pycache__").mkdir(),
}


def looked_at(project: Path) -> Seen:
    modules = [at(Sort.MODULE, project, part) for part in ("helper", "einops", "parts")]
    return seen(
        project,
        at(Sort.FILE, project / FILE),
        at(Sort.FILE, project / ABSENT),
        at(Sort.FOLDER, project / "data"),
        *modules,
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_was_looked_at_is_noticed(project, change):
    places = Observer().observe(looked_at(project))
    assert places is not None
    change(project)
    assert not Observer().holds(places)


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_a_change_of_anything_else_does_not_matter(project, change):
    places = Observer().observe(looked_at(project))
    assert places is not None
    change(project)
    assert Observer().holds(places)


def test_an_observer_notices_what_changes_while_it_is_used(project):
    observer = Observer()
    places = observer.observe(looked_at(project))
    assert places is not None
    assert observer.holds(places)
    (project / FILE).write_text("width: 7\n")
    assert not observer.holds(places)


def test_variables_are_told_by_their_values(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.delenv("SEED", raising=False)
    observer = Observer()
    one, none, every = (
        observer.observe(Seen(0, (Read(Sort.VARIABLE, name),))) for name in ("DEVICE", "SEED", "")
    )
    assert one is not None
    assert none is not None
    assert every is not None
    monkeypatch.setenv("SHLVL", "7")
    monkeypatch.setenv("OLDPWD", "/elsewhere")
    assert observer.holds((*one, *none, *every))
    monkeypatch.setenv("SEED", "1")
    assert observer.holds(one)
    assert not observer.holds(none)
    assert not observer.holds(every)
    monkeypatch.setenv("DEVICE", "cuda")
    assert not observer.holds(one)


def test_what_changed_while_it_was_looked_at_is_not_kept(project):
    before = time.time_ns()
    reads = (at(Sort.FILE, project / FILE),)
    assert Observer().observe(Seen(before - 10**9, reads)) is None
    assert Observer().observe(Seen(before + 10**10, reads)) is not None


def test_what_came_or_went_since_is_not_kept(project):
    late = time.time_ns() + 10**10
    gone = Read(Sort.FILE, str(project / ABSENT), existed=True)
    came = Read(Sort.FILE, str(project / FILE), existed=False)
    assert Observer().observe(Seen(late, (gone,))) is None
    assert Observer().observe(Seen(late, (came,))) is None


def test_a_module_that_came_since_is_not_kept(project):
    reads = (at(Sort.MODULE, project, "einops"),)
    began = time.time_ns()
    (project / "einops.py").touch()
    assert Observer().observe(Seen(began, reads)) is None


def test_a_pipe_is_not_opened(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe")
    places = Observer().observe(seen(tmp_path, at(Sort.FILE, tmp_path / "pipe")))
    assert places is not None
    assert Observer().holds(places)


def test_a_large_file_is_told_by_its_dates(tmp_path):
    file = tmp_path / "weights.bin"
    with file.open("wb") as opened:
        opened.truncate(20 << 20)
    places = Observer().observe(seen(tmp_path, at(Sort.FILE, file)))
    assert places is not None
    assert Observer().holds(places)
    with file.open("r+b") as opened:
        opened.write(b"1")
    assert not Observer().holds(places)
