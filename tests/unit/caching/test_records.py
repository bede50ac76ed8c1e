"""What a cache answers, and what it never does."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path

import pytest

from scaleaudit.caching import circumstances as surroundings
from scaleaudit.caching.cache import Cache
from scaleaudit.caching.signing import load_secret
from scaleaudit.domain.reads import Read, Seen, Sort


@pytest.fixture
def model(tmp_path) -> Path:
    file = tmp_path / "model.py"
    file.write_text("x = 1\n")
    return file


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path, warnings) -> Cache:
    return Cache(tmp_path / "cache", warnings.append)


def seen(*paths: Path, unsteady: tuple[str, ...] = ()) -> Seen:
    reads = tuple(Read(Sort.FILE, str(path), existed=path.exists()) for path in paths)
    return Seen(time.time_ns() + 10**10, reads, unsteady)


def test_an_answer_is_given_again_until_something_changes(cache, model, tmp_path, warnings):
    config = tmp_path / "config.yaml"
    name = cache.name(str(model), ["what", "is", "it"])
    assert cache.find(name) is None
    cache.keep(name, seen(model, config), b"answer")
    assert cache.find(name) == b"answer"
    config.touch()
    assert cache.find(name) is None
    assert not warnings


def test_every_question_has_its_own_name(cache, model):
    names = {cache.name(str(model), asked) for asked in (["a", "b"], ["ab"], ["a", "c"])}
    model.write_text("x = 2\n")
    names.add(cache.name(str(model), ["a", "b"]))
    names.add(cache.name(str(model.with_name("other.py")), ["a", "b"]))
    assert len(names) == 5


def test_what_may_come_out_otherwise_is_not_kept(cache, model):
    name = cache.name(str(model), [])
    cache.keep(name, seen(model, unsteady=("it used the network",)), b"answer")
    assert cache.find(name) is None


def test_a_cache_that_cannot_be_written_says_so_once(model, warnings):
    if not Path("/proc/self").exists():
        pytest.skip("no folder here that nobody can write to")
    cache = Cache(Path("/proc/self/cache"), warnings.append)
    for number in range(3):
        cache.keep(cache.name(str(model), [str(number)]), seen(model), b"answer")
        assert cache.find(cache.name(str(model), [str(number)])) is None
    assert len(warnings) == 1
    assert "going on without a cache" in warnings[0]


def test_a_read_only_cache_is_read(cache, model, tmp_path, monkeypatch, warnings):
    name = cache.name(str(model), [])
    cache.keep(name, seen(model), b"answer")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert cache.find(name) == b"answer"
    other = cache.name(str(model), ["other"])
    cache.keep(other, seen(model), b"more")
    assert cache.find(other) is None
    assert len(warnings) == 1
    assert "Read-only file system" in warnings[0]


def test_a_cache_made_with_another_secret_is_not_believed(cache, model, tmp_path, monkeypatch):
    """As one that somebody commits to hide what would be found."""
    name = cache.name(str(model), [])  # which an attacker may come to know
    monkeypatch.setenv("SCALEAUDIT_CACHE_KEY", "the attacker's")
    Cache(tmp_path / "cache", lambda _: None).keep(name, seen(model), b"all is well")
    monkeypatch.delenv("SCALEAUDIT_CACHE_KEY")
    assert Cache(tmp_path / "cache", lambda _: None).find(name) is None
    monkeypatch.setenv("SCALEAUDIT_CACHE_KEY", "the attacker's")
    assert Cache(tmp_path / "cache", lambda _: None).find(name) == b"all is well"


def test_the_secret_is_made_once_and_is_the_users_alone(state_home):
    first = load_secret()
    assert load_secret() == first
    (file,) = (state_home / "scaleaudit").iterdir()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize("how", ["shared", "short", "long"])
def test_a_secret_that_is_none_is_replaced(state_home, how):
    first = load_secret()
    (file,) = (state_home / "scaleaudit").iterdir()
    if how == "shared":
        file.chmod(0o644)
    else:
        file.write_bytes(b"x" * (5 if how == "short" else 100))
    second = load_secret()
    assert second != first
    assert load_secret() == second


def test_without_a_place_for_the_secret_there_is_no_cache(model, tmp_path, monkeypatch, warnings):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    cache = Cache(tmp_path / "cache", warnings.append)
    cache.keep(cache.name(str(model), []), seen(model), b"answer")
    assert cache.find(cache.name(str(model), [])) is None
    assert len(warnings) == 1
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "packages"
    (folder / "torch-2.13.0.dist-info").mkdir(parents=True)
    monkeypatch.setattr(surroundings.site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.setattr(surroundings.site, "getusersitepackages", lambda: str(tmp_path / "none"))
    return folder


def now() -> str:
    surroundings.circumstances.cache_clear()
    return surroundings.circumstances()


def test_another_package_or_version_changes_the_circumstances(packages):
    before = now()
    assert now() == before
    (packages / "einops-0.8.0.dist-info").mkdir()
    assert (added := now()) != before
    (packages / "einops-0.8.0.dist-info").rename(packages / "einops-0.8.1.dist-info")
    assert now() not in {before, added}


def test_packages_anywhere_on_the_path_count(packages, monkeypatch, tmp_path):
    before = now()
    shared = tmp_path / "shared"
    (shared / "torch-2.14.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(shared))
    assert now() != before


def test_a_package_from_a_folder_is_told_by_its_files(packages):
    own = packages / "ours-0.1.0.dist-info"
    own.mkdir()
    (own / "RECORD").write_text("ours/model.py,sha256=a,1\n")
    (own / "direct_url.json").write_text("{}")
    before = now()
    (own / "RECORD").write_text("ours/model.py,sha256=b,1\n")
    assert now() != before


@pytest.mark.parametrize("name", ["TORCH_LOGS", "PYTHONPATH", "OMP_NUM_THREADS"])
def test_what_steers_torch_is_part_of_the_circumstances(packages, monkeypatch, name):
    before = now()
    monkeypatch.setenv("SCALEAUDIT_NO_CACHE", "1")
    monkeypatch.setenv("EDITOR", "ed")
    assert now() == before
    monkeypatch.setenv(name, "changed")
    assert now() != before


@pytest.fixture(autouse=True)
def _forget():
    yield
    surroundings.circumstances.cache_clear()


def test_the_folder_of_work_is_part_of_the_circumstances(packages, monkeypatch, tmp_path):
    before = now()
    monkeypatch.chdir(tmp_path)
    assert now() != before
