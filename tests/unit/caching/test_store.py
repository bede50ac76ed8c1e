"""A record is there whole, or it is not there: whatever happens to the folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scaleaudit.caching.store import NotOursError, Store, clean, throw_out

SECRET = b"s" * 32
NAME = "ab" + "0" * 30
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(folder) -> Store:
    return Store(folder, SECRET)


def record(folder: Path) -> Path:
    return folder / "records" / NAME[:2] / NAME


def test_what_was_written_is_read(store):
    assert store.read(NAME) is None
    store.write(NAME, b"one")
    assert store.read(NAME) == b"one"
    store.write(NAME, b"two")
    assert store.read(NAME) == b"two"


def test_a_cache_keeps_out_of_git_and_of_backups(store, folder):
    store.write(NAME, b"one")
    assert "\n*\n" in (folder / ".gitignore").read_text()
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f0688")


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    match how:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(data[:-1])
        case "header alone":
            path.write_bytes(data[:30])
        case "random":
            path.write_bytes(os.urandom(500))
        case "another body":
            path.write_bytes(data[:-3] + b"two")
        case "longer":
            path.write_bytes(data + b"x")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            elsewhere = path.parent / "elsewhere"
            elsewhere.write_bytes(data)
            path.symlink_to(elsewhere)


DAMAGES = (
    "empty", "truncated", "header alone", "random", "another body", "longer", "folder", "pipe",
    "link",
)  # fmt: skip


@posix
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_record_is_none(store, folder, how):
    store.write(NAME, b"one")
    damage(record(folder), how)
    assert store.read(NAME) is None
    if how == "folder":
        with pytest.raises(OSError, match=NAME):
            store.write(NAME, b"new")
        return
    store.write(NAME, b"new")
    assert store.read(NAME) == b"new"


def test_a_link_in_the_place_of_a_record_is_replaced_and_not_followed(store, folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    record(folder).parent.mkdir(parents=True)
    record(folder).symlink_to(victim)
    store.write(NAME, b"one")
    assert victim.read_text() == "precious"
    assert store.read(NAME) == b"one"


def test_a_record_under_the_name_of_another_is_none(store, folder):
    store.write(NAME, b"one")
    other = NAME[:-1] + "1"
    shutil.copy(record(folder), record(folder).with_name(other))
    assert store.read(other) is None


def test_a_record_that_somebody_else_signed_is_none(store, folder):
    Store(folder, b"x" * 32).write(NAME, b"forged")
    assert store.read(NAME) is None


def test_a_folder_that_holds_something_else_is_left_alone(store, folder):
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    with pytest.raises(NotOursError, match="something else"):
        store.write(NAME, b"one")
    with pytest.raises(NotOursError):
        clean(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_cleaning_removes_a_cache_and_nothing_else(store, folder):
    assert not clean(folder)
    store.write(NAME, b"one")
    assert clean(folder)
    assert not folder.exists()
    store.write(NAME, b"one")
    (folder / "notes").write_text("mine")
    assert clean(folder)
    assert [path.name for path in folder.iterdir()] == ["notes"]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


WRITER = """
import os, signal, sys
from pathlib import Path
from scaleaudit.caching import store
kept = store.Store(Path(sys.argv[1]), b"s" * 32)
"""


@posix
@pytest.mark.parametrize("before", ["", "old"])
def test_a_writer_that_is_killed_leaves_what_was_there(store, folder, before):
    if before:
        store.write(NAME, before.encode())
    script = f"""{WRITER}
store.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
kept.write({NAME!r}, b"new")
"""
    # Where nothing is claimed yet, the very first file is the one that it dies over.
    assert run(script, str(folder)).returncode == -signal.SIGKILL
    assert store.read(NAME) == (before.encode() or None)
    store.write(NAME, b"after")
    assert store.read(NAME) == b"after"
    drafts = list(folder.rglob("*.draft"))
    assert drafts
    assert clean(folder)


def test_many_writers_and_readers_see_whole_records(folder):
    bodies = {bytes([number]) * 50_000 for number in range(8)}
    store = Store(folder, SECRET)
    store.write(NAME, next(iter(bodies)))

    def work(body: bytes) -> set[bytes | None]:
        seen = set()
        for _ in range(20):
            Store(folder, SECRET).write(NAME, body)
            seen.add(store.read(NAME))
        return seen

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(work, bodies)) <= bodies
    assert not list(folder.rglob("*.draft"))


@posix
def test_a_disk_without_room_keeps_what_was_there(store, folder):
    store.write(NAME, b"old")
    script = f"""{WRITER}
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    kept.write({NAME!r}, b"new" * 1000)
except OSError as error:
    print("refused", error.errno)
"""
    assert run(script, str(folder)).stdout.startswith("refused")
    assert store.read(NAME) == b"old"
    assert not list(folder.rglob("*.draft"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB, where the test may make one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_file_system_keeps_what_was_there(small_disk):
    store = Store(small_disk / "cache", SECRET)
    store.write(NAME, b"old")
    with pytest.raises(OSError, match="No space left"):
        store.write(NAME, os.urandom(100_000))
    assert store.read(NAME) == b"old"


def test_what_is_old_left_behind_or_too_much_is_thrown_out(tmp_path):
    now = time.time()
    ages = {"new": 0, "middle": 10, "old": 20, "dead.draft": 7200, "live.draft": 5, "ancient": 9e6}
    for name, age in ages.items():
        file = tmp_path / "aa" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x" * 100)
        os.utime(file, (now - age, now - age))
    throw_out(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "new", "middle", "old", "live.draft",
    }  # fmt: skip
    throw_out(tmp_path, most=3)
    assert not (tmp_path / "aa" / "old").exists()
    throw_out(tmp_path, size=150)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["new"]
