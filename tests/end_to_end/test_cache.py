"""What is unchanged is answered from the cache: the same to the letter, and without a child."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from running import Run, environment

from scaleaudit import api
from scaleaudit.api import Options
from scaleaudit.caching import circumstances
from scaleaudit.cli.provenance import with_provenance
from scaleaudit.domain import report as report_of
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.report import Report, Skipped
from scaleaudit.isolation.jobs import DEFAULT_LIMITS
from scaleaudit.isolation.runner import OnDemand, Runner
from scaleaudit.report.structure import to_json

MODEL = """
import os
from pathlib import Path
import torch
from torch import nn
from helper import WIDTH

print("building")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        wide = Path("wide.txt").exists() or os.environ.get("WIDE")
        self.step = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 16 if wide else 8)

    def forward(self, x):
        for _ in range(4):
            x = x + self.step(self.norm(x))
        return self.head(self.norm(x))

def loss(net, x):
    return net(x).logsumexp(-1).mean()

def described():
    return {"model": Net(), "args": (torch.randn(2, WIDTH),), "loss": loss}
"""
FILES = {
    "helper.py": "WIDTH = 8\n",
    "one.py": f"{MODEL}\ndef scaleaudit_target():\n    return described()\n",
    "two.py": f"{MODEL}\ndef scaleaudit_target_a():\n    return described()\n"
    "\ndef scaleaudit_target_b():\n    return described()\n",
    "broken.py": "import no_such_package\n\nclass Model(no_such_package.Base): ...\n",
    "plain.py": "import enum\n\nclass Colour(enum.Enum):\n    RED = 1\n",
}


class Project:
    """A project whose first audit filled the cache."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.cache = folder / ".scaleaudit_cache"
        self._environment = {
            **environment(),
            "XDG_STATE_HOME": str(home),
            "SCALEAUDIT_NO_CACHE": "",
        }
        self.first = self.run("check", ".", "--format", "json")

    def run(self, *arguments: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "scaleaudit", *arguments],
            cwd=self.folder, env=self._environment, capture_output=True, text=True,
            timeout=280, check=False,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("project").resolve()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return Project(folder, tmp_path_factory.mktemp("home"))


class ChildNeededError(Exception):
    """An audit asked for a child."""


def _no_children() -> Runner:
    raise ChildNeededError


@pytest.fixture
def recalled(project, monkeypatch):
    """Audit in this process from what is kept; a child would be a ChildNeededError."""
    monkeypatch.setenv("XDG_STATE_HOME", project._environment["XDG_STATE_HOME"])
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(api, "workers", lambda: OnDemand(_no_children))
    circumstances.circumstances.cache_clear()

    def audit(*paths: str, **options: object) -> Report:
        return api.audit(paths or (".",), replace(Options(cache=project.cache), **options))

    yield audit
    circumstances.circumstances.cache_clear()


def _timeless(text: str) -> dict:
    document = json.loads(text)
    for target in document["targets"]:
        del target["seconds"]
    return {name: value for name, value in document.items() if name != "run"}


def test_the_same_is_said_from_the_cache(project, recalled):
    assert project.first.code == 1
    assert project.first.err == ""
    report = recalled()
    quoting = with_provenance(report, report_of.Run((), "", ""))
    assert _timeless(to_json(quoting)) == _timeless(project.first.out)
    assert [target.output for target in report.targets] == ["building\n"] * 3


def test_the_command_line_says_the_same_from_the_cache(project):
    again = project.run("check", ".", "--format", "json")
    assert again.err == ""
    assert _timeless(again.out) == _timeless(project.first.out)
    assert not list(project.folder.rglob("*.draft"))


def test_rules_are_asked_anew(recalled):
    assert any(target.findings for target in recalled("one.py").targets)
    assert not any(target.findings for target in recalled("one.py", ignore=("SCL1",)).targets)


def test_one_target_of_a_file_is_a_question_of_its_own(recalled):
    with pytest.raises(ChildNeededError):
        recalled("one.py::Net")


@pytest.mark.parametrize(
    "limits",
    [
        replace(DEFAULT_LIMITS, certify=Certify.NEVER),
        replace(DEFAULT_LIMITS, seconds=60.0),
        replace(DEFAULT_LIMITS, memory=1 << 30),
    ],
)
def test_other_limits_are_another_question(recalled, limits):
    with pytest.raises(ChildNeededError):
        recalled("one.py", limits=limits)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("helper.py", "WIDTH = 9\n"),
        ("one.py", FILES["one.py"] + "\n"),
        ("wide.txt", ""),
        ("helper/__init__.py", "WIDTH = 8\n"),
    ],
)
def test_whatever_a_target_depends_on_is_noticed(project, recalled, name, text):
    file = project.folder / name
    before = file.read_text() if file.exists() else None
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    try:
        with pytest.raises(ChildNeededError):
            recalled("one.py")
    finally:
        file.unlink()
        if before is not None:
            file.write_text(before)
        elif file.parent != project.folder:
            file.parent.rmdir()
    recalled("one.py")


def test_a_variable_that_a_target_asked_for_is_noticed(recalled, monkeypatch):
    monkeypatch.setenv("WIDE", "1")
    with pytest.raises(ChildNeededError):
        recalled("one.py")


def test_a_file_that_nothing_depends_on_may_change(project, recalled):
    (project.folder / "notes.md").write_text("news")
    recalled("one.py", "two.py")


def test_garbage_is_audited_anew_and_put_right(project, recalled):
    for path in project.cache.rglob("*"):
        if path.is_file() and path.parent.parent.name == "records":
            path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ChildNeededError):
        recalled("one.py")
    again = project.run("check", "one.py", "--format", "json")
    assert again.err == ""
    (target,) = json.loads(again.out)["targets"]
    first = next(
        each for each in json.loads(project.first.out)["targets"] if each["path"] == "one.py"
    )
    assert {**target, "seconds": 0} == {**first, "seconds": 0}
    recalled("one.py")


def test_files_without_a_model_need_no_child_and_no_cache(project, recalled):
    report = recalled("plain.py", skip_non_models=True, cache=None)
    assert report.skipped == (Skipped("plain.py", "declares no target and defines no model class"),)


def test_clean_removes_the_cache(project):
    assert project.run("clean").err.startswith(f"removed {project.cache}")
    assert not project.cache.exists()
    assert project.run("clean").err.startswith("there is no cache at")
