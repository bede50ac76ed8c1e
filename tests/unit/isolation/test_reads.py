"""What a user's code looks at is noted, whichever way it looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from scaleaudit.domain.reads import OUT_OF_TIME, Read, Seen, Sort
from scaleaudit.isolation.reads import split_seen, with_seen

ROOT = str(Path(__file__).resolve().parents[3])
CODE = """
import sys, os, msgspec
sys.path.insert(0, os.getcwd())
from scaleaudit.isolation.reads import watch_reads
tell = watch_reads()
def looked():
    import glob, importlib, importlib.util, pathlib
    open("opened.txt").close()
    os.close(os.open("low.txt", os.O_RDONLY))
    try:
        open("missing.txt")
    except FileNotFoundError:
        pass
    pathlib.Path("asked.yaml").exists()
    os.path.isfile("asked.json")
    os.access("access.json", os.R_OK)
    open("written.txt", "w").close()
    open("added.txt", "a").close()
    try:
        open("opened.txt", "x")
    except FileExistsError:
        pass
    os.listdir("listed")
    list(os.scandir("scanned"))
    glob.glob("globbed/*.txt")
    import helper
    import pack.inner
    importlib.import_module("named")
    importlib.util.find_spec("optional")
    try:
        import nowhere
    except ImportError:
        pass
    os.environ.get("ASKED")
    os.getenv("GOT")
    "HAD" in os.environ
    os.environ["PUT"] = "1"
    os.chdir("listed")
    open("inner.txt").close()
looked()
sys.stdout.buffer.write(msgspec.msgpack.encode(tell()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project").resolve()
    for name in ("listed", "scanned", "globbed", "pack"):
        (folder / name).mkdir()
    for name in ("opened.txt", "low.txt", "listed/inner.txt", "helper.py", "named.py"):
        (folder / name).touch()
    (folder / "pack" / "__init__.py").touch()
    (folder / "pack" / "inner.py").touch()
    return folder


def run(code: str, folder: Path) -> Seen:
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, check=True
    )
    return msgspec.msgpack.decode(done.stdout, type=Seen)


@pytest.fixture(scope="module")
def seen(folder) -> Seen:
    return run(CODE, folder)


def names(seen: Seen, sort: Sort, folder: Path) -> set[str]:
    paths = {Path(read.name) for read in seen.reads if read.sort is sort}
    return {str(path.relative_to(folder)) for path in paths if path.is_relative_to(folder)}


def test_files_are_noted_whether_they_are_there_or_not(seen, folder):
    # The import system and glob ask for their folders, too.
    assert names(seen, Sort.FILE, folder) - {".", "globbed"} == {
        "opened.txt", "low.txt", "missing.txt", "asked.yaml", "asked.json", "access.json",
        "listed/inner.txt", "helper.py", "named.py", "pack/__init__.py", "pack/inner.py",
    }  # fmt: skip
    there = {read.name: read.existed for read in seen.reads if read.sort is Sort.FILE}
    assert there[str(folder / "opened.txt")]
    assert not there[str(folder / "missing.txt")]


def test_folders_are_noted_where_they_are_listed(seen, folder):
    assert {"listed", "scanned", "globbed"} <= names(seen, Sort.FOLDER, folder)
    assert "." not in names(seen, Sort.FOLDER, folder)


def test_modules_are_noted_by_the_folders_that_they_are_looked_for_in(seen, folder):
    looked = {(read.name, read.part) for read in seen.reads if read.sort is Sort.MODULE}
    for part in ("helper", "named", "optional", "nowhere", "pack"):
        assert (str(folder), part) in looked
    assert (str(folder / "pack"), "inner") in looked


def test_what_is_installed_is_not_noted(seen):
    library = str(Path(os.__file__).parent) + os.sep
    assert not [read for read in seen.reads if read.name.startswith(library)]
    assert not [read for read in seen.reads if f"{os.sep}site-packages{os.sep}" in read.name]


def test_variables_are_noted_and_the_whole_environment_is_not(seen):
    asked = {read.name for read in seen.reads if read.sort is Sort.VARIABLE}
    assert {"ASKED", "GOT", "HAD"} <= asked
    assert "" not in asked
    assert not seen.unsteady


WATCHED = """
import sys, os, msgspec
from scaleaudit.isolation.reads import watch_reads
tell = watch_reads()
try:
    {}
except OSError:
    pass
sys.stdout.buffer.write(msgspec.msgpack.encode(tell()))
"""


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("import subprocess; subprocess.run(['true'])", "it started a program"),
        ("os.system('true')", "it started a program"),
        ("import socket; socket.create_connection(('localhost', 1), 1)", "it used the network"),
        (f"sys.audit({OUT_OF_TIME!r})", "the clock cut it short"),
        (r"open(b'\xff\xfe')", "it opened what has no readable path"),
    ],
)
def test_what_cannot_be_looked_up_again_makes_an_answer_unsteady(tmp_path, does, says):
    assert says in run(WATCHED.format(does), tmp_path).unsteady


def test_a_path_through_a_link_is_noted_as_what_it_leads_to(tmp_path):
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "inner")
    seen = run(WATCHED.format("open('link/../file.txt')"), tmp_path)
    assert str((tmp_path / "real" / "file.txt").resolve()) in {read.name for read in seen.reads}


def test_asking_for_all_variables_is_noted_as_such(tmp_path):
    seen = run(WATCHED.format("dict(os.environ)"), tmp_path)
    assert Read(Sort.VARIABLE, "") in seen.reads


def test_an_answer_comes_back_from_what_was_seen_with_it():
    seen = Seen(7, (Read(Sort.FILE, "/a"),), ("why",))
    assert split_seen(with_seen(b"vanswer", seen)) == (seen, b"vanswer")
    assert split_seen(b"vanswer") == (None, b"vanswer")


@pytest.mark.parametrize("data", [b"r", b"r\0\0\0\5ab", b"r\0\0\0\1\xc1", b"r\xff\xff\xff\xff"])
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(msgspec.DecodeError):
        split_seen(data)


def test_what_two_attempts_saw_is_taken_together():
    first = Seen(2, (Read(Sort.FILE, "/a"),), ("x",))
    second = Seen(1, (Read(Sort.FILE, "/a"), Read(Sort.FILE, "/b")))
    both = Seen(1, (Read(Sort.FILE, "/a"), Read(Sort.FILE, "/b")), ("x",))
    assert first.and_then(second) == both
