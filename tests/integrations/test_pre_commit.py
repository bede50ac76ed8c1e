"""A git repository with the shipped hook: what is committed is judged, and the reason is given."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODEL = """\
import torch
from torch import nn

from utils import WIDTH


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(32, WIDTH), nn.Linear(WIDTH, 32)
        self.norm, self.mlp = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens, targets):
        h = self.embed(tokens)
        for _ in range(4):
            h = h + self.mlp(self.norm(h))
        logits = self.head(self.norm(h))
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def scaleaudit_target():
    tokens = torch.zeros(2, 8, dtype=torch.long)
    return {"model": Looped(), "args": (tokens, tokens)}
"""
FIXED = MODEL.replace("h = h + self.mlp(self.norm(h))", "h = self.norm(h + self.mlp(h))")
TEST = """\
import unittest

from model import Looped


class TestLooped(unittest.TestCase):
    def test_it_is_built(self):
        Looped()


raise SystemExit("nobody asked for this file to be run")
"""


@dataclass(frozen=True)
class Commit:
    """How an attempt to commit ended."""

    code: int
    said: str


class Repository:
    """A git repository with pre-commit installed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "HOME": str(home),
            "PRE_COMMIT_HOME": str(home),
            "PRE_COMMIT_COLOR": "never",
        }
        self._run("git", "init", "--quiet")
        self._run("git", "config", "user.name", "A")
        self._run("git", "config", "user.email", "a@example.org")
        (folder / ".pre-commit-config.yaml").write_text(_settings())
        self._run(sys.executable, "-m", "pre_commit", "install")

    def commit(self, **files: str) -> Commit:
        """Write files, stage them and commit."""
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)
        self._run("git", "add", "--all")
        done = self._try("git", "commit", "--quiet", "-m", "change")
        return Commit(done.returncode, done.stdout + done.stderr)

    def subjects(self) -> list[str]:
        """Return the names of the files that are committed."""
        done = self._try("git", "ls-tree", "--name-only", "HEAD")
        return done.stdout.split() if done.returncode == 0 else []

    def _run(self, *command: str) -> None:
        done = self._try(*command)
        assert done.returncode == 0, done.stdout + done.stderr

    def _try(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )


def _settings() -> str:
    """Write the shipped hook into a repository of its own, run by this very interpreter."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = shlex.split(hook["entry"])
    assert program == "scaleaudit"
    hook["entry"] = shlex.join([sys.executable, "-m", "scaleaudit", *arguments])
    return yaml.safe_dump({"repos": [{"repo": "local", "hooks": [hook]}]})


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def blind(repository: Repository) -> Commit:
    """A first commit, of a blind model with two files beside it that hold none."""
    files = {"utils__py": "WIDTH = 16\n", "test_model__py": TEST, "model__py": MODEL}
    done = repository.commit(**files)
    assert not repository.subjects()
    return done


def test_a_blind_model_is_stopped_with_the_reason(blind):
    assert blind.code == 1
    assert "error[SCL101]" in blind.said
    assert "--> model.py:16:17" in blind.said
    assert "h = h + self.mlp(self.norm(h))" in blind.said


def test_files_beside_the_model_block_nothing(repository, blind):
    assert "utils.py: skipped" in blind.said
    assert "test_model.py: skipped" in blind.said
    fixed = repository.commit(model__py=FIXED)
    assert fixed.code == 0, fixed.said
    assert {"model.py", "test_model.py", "utils.py"} <= set(repository.subjects())


def test_a_commit_without_python_runs_nothing(repository, blind):
    done = repository.commit(notes__md="Nothing to see.\n")
    assert done.code == 0
    assert "no files to check" in done.said
