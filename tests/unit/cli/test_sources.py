from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from scaleaudit.domain.facts import ProofStep
from scaleaudit.domain.finding import Confidence, Finding, Related, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Skip, Skipped
from scaleaudit.errors import ConfigError
from scaleaudit.sources import (
    Request,
    declares_target,
    find_requests,
    passed_over,
    portable,
    read_sources,
    relative,
)

MODEL = "from torch import nn\nclass M(nn.Module): ...\n"
TARGET = "def scaleaudit_target():\n    return {}\n"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "b.py": TARGET,
        "a.py": MODEL,
        "notes.txt": "no Python",
        "pkg/c.py": MODEL,
        ".hidden/d.py": MODEL,
        "__pycache__/e.py": MODEL,
        "env/pyvenv.cfg": "",
        "env/f.py": MODEL,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_folder_gives_its_python_files_in_order_and_nobody_elses(tree):
    assert find_requests(["."]) == tuple(
        Request(path, named=False) for path in ("a.py", "b.py", "pkg/c.py")
    )


def test_a_target_is_named_behind_colons(tree):
    assert find_requests(["b.py::deep"]) == (Request("b.py", "deep"),)


def test_a_file_that_was_named_counts_as_named_though_a_walk_meets_it_too(tree):
    assert find_requests(["a.py", "."])[0] == Request("a.py")
    assert [request.path for request in find_requests(["a.py", "./a.py", "."])] == [
        "a.py", "b.py", "pkg/c.py",
    ]  # fmt: skip


def test_a_hook_may_hand_over_files_without_a_model(tree):
    assert find_requests(["a.py"], skip_non_models=True) == (Request("a.py", named=False),)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gone.py", "no such file or folder: gone.py"),
        ("x" * 5000, "no such file or folder"),
        ("gone.py::M", "no such file or folder: gone.py"),
        ("pkg::M", "pkg is a folder"),
        ("notes.txt", "notes.txt is no Python file, and no .pt2 file"),
    ],
)
def test_a_path_that_cannot_be_audited_is_told(tree, path, words):
    with pytest.raises(ConfigError, match=words):
        find_requests([path])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (TARGET, None),
        (MODEL, None),
        ("def scaleaudit_target_deep(): ...", None),
        ("class Plain: ...\nx = 1\n", "declares no target"),
        ("from enum import Enum\nclass Colour(Enum):\n    RED = 1\n", "declares no target"),
        ("class\\\n  Split \\\n (Base): ...", None),
        ("class Generic[T](Base): ...", None if sys.version_info >= (3, 12) else "not valid"),
        ("def \uff53caleaudit_target(): ...", None),
        ("class A(:\n", "not valid Python (line 1)"),
    ],
)
def test_only_files_that_can_declare_a_model_are_run_on_a_walk(tmp_path, source, reason):
    file = tmp_path / "file.py"
    file.write_text(source, encoding="utf-8")
    left = passed_over(str(file))
    assert (left is None) == (reason is None)
    if left is not None:
        assert left.reason.startswith(reason)
        assert (left.kind is Skip.UNREAD) is left.reason.startswith("not valid")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"class A(B): 1\0\xff", ""),
        (b"# coding: nonesuch\nclass A(B): ...", "not valid Python (unknown encoding: nonesuch"),
        ("class A(B): ...".encode("utf-16"), ""),
        (b"class A(B): x = " + b"-" * 200_000 + b"1", "cannot be read (nested too deeply)"),
    ],
    ids=["bytes", "encoding", "utf-16", "deep"],
)
def test_what_cannot_be_parsed_is_passed_over_with_a_reason(tmp_path, data, reason):
    file = tmp_path / "file.py"
    file.write_bytes(data)
    left = passed_over(str(file))
    assert left.kind is Skip.UNREAD
    assert left.reason.startswith(reason)
    assert not re.search("line (0|None)", left.reason)
    assert not declares_target(str(file))
    # One that speaks of a target is to be told of by who runs it.
    named = "\ndef scaleaudit_target(): ...\n".encode("utf-16" if b"\0" in data[:8] else "ascii")
    file.write_bytes(data + named)
    assert declares_target(str(file))
    assert passed_over(str(file)) is None


def test_what_is_no_regular_file_is_not_opened(tree):
    for name in ("pipe.py", "pipe.pt2"):
        os.mkfifo(name)
        with pytest.raises(ConfigError, match="is no regular file"):
            find_requests([name])
        (handed,) = find_requests([name], skip_non_models=True)
        unread = Skipped(name, "cannot be read (it is no regular file)", Skip.UNREAD)
        assert passed_over(handed.path) == unread
        assert not declares_target(name)
    assert read_sources(["pipe.py"]) == ()
    assert (passed_over("gone.py"), passed_over("pkg")) == (
        Skipped("gone.py", "cannot be read (No such file or directory)", Skip.UNREAD),
        Skipped("pkg", "cannot be read (Is a directory)", Skip.UNREAD),
    )


def test_the_name_of_a_file_may_hold_colons(tree):
    Path("a::b.py").write_text(MODEL)
    assert find_requests(["a::b.py", "a::b.py::M"]) == (
        Request("a::b.py"),
        Request("a::b.py", "M"),
    )


def test_a_declared_target_is_seen_without_running_the_file(tmp_path):
    file = tmp_path / "file.py"
    file.write_text("raise SystemExit\n" + TARGET)
    assert declares_target(str(file))
    file.write_text(MODEL)
    assert not declares_target(str(file))


def test_sources_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = '\xff'\n")
    found = dict(read_sources([str(tmp_path / "a.py"), "gone.py", str(tmp_path), "nul\0.py"]))
    assert list(found) == [str(tmp_path / "a.py")]


def test_locations_inside_the_folder_become_relative(tmp_path):
    inside, outside = Location(str(tmp_path / "m" / "a.py"), 3), Location("/elsewhere/b.py", 4)
    finding = Finding(
        "SCL101", "n", Severity.ERROR, Confidence.PROVEN, "m", inside,
        proof=(ProofStep(outside, "op", 1.0, "t"),), related=(Related(inside, "r"),),
    )  # fmt: skip
    moved = portable(finding, tmp_path)
    assert moved.location == Location("m/a.py", 3)
    assert moved.related[0].location.path == "m/a.py"
    assert moved.proof[0].location == outside


def test_a_path_is_relative_however_it_was_written(tmp_path):
    assert relative("./m/../m/a.py", tmp_path) == "m/a.py"
    assert (
        relative(str(tmp_path.parent / "x.py"), tmp_path) == (tmp_path.parent / "x.py").as_posix()
    )


def test_a_name_that_is_no_text_is_refused_where_it_was_given_and_skipped_on_a_walk(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.py")
    Path(name).write_text("def scaleaudit_target(): ...\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        find_requests([name])
    (found,) = find_requests([str(tmp_path)])
    assert passed_over(found.path) == Skipped(found.path, "its name is not UTF-8", Skip.UNREAD)
    (handed,) = find_requests([name], skip_non_models=True)
    assert passed_over(handed.path) == Skipped(handed.path, "its name is not UTF-8", Skip.UNREAD)


def test_a_file_is_audited_once_however_it_is_spelled_and_seen_from_here(tree):
    spelled = ["./a.py", str(tree / "a.py"), f"../{tree.name}/a.py", str(tree)]
    found = find_requests(spelled)
    assert [request.path for request in found][:2] == ["a.py", "b.py"]
    assert len({request.path for request in found}) == len(found)
    assert found[0].named


def test_a_file_that_is_named_behind_its_folder_is_named(tree):
    found = {request.path: request.named for request in find_requests([".", "b.py"])}
    assert (found["a.py"], found["b.py"]) == (False, True)


@pytest.mark.parametrize("encoding", ["koi8-r", "shift_jis", "latin-1", "utf-8-sig", "utf-8"])
def test_a_source_is_quoted_in_its_own_encoding(tmp_path, encoding):
    text = "# да\n" if encoding == "koi8-r" else "# £ é\n" if encoding == "latin-1" else "# x\n"
    text = "# 表\n" if encoding == "shift_jis" else text
    cookie = "" if encoding.startswith("utf-8") else f"# coding: {encoding}\n"
    file = tmp_path / "model.py"
    file.write_bytes(f"{cookie}{text}".encode(encoding))
    assert dict(read_sources((str(file),))) == {str(file): f"{cookie}{text}"}


@pytest.mark.parametrize("cookie", ["rot13", "no-such", "utf-8"])
def test_a_source_in_no_encoding_is_quoted_as_far_as_it_can_be(tmp_path, cookie):
    file = tmp_path / "model.py"
    file.write_bytes(f"# coding: {cookie}\n# ".encode() + b"\xff\n")
    assert dict(read_sources((str(file),)))[str(file)].endswith("# \ufffd\n")
