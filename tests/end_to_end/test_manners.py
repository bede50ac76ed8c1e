"""How `check` behaves as a program: what it reads, in which encoding it writes, how much it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from running import environment
from user_files import BLIND, SAFE

PARTS = "from torch import nn\n\n\ndef final():\n    return nn.RMSNorm(16)\n"
MODEL = "from .parts import final\n" + BLIND.replace(
    "self.final = nn.RMSNorm(16)", "self.final = final()"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projekt-é")
    package = folder / "modèle"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(PARTS)
    (package / "net.py").write_text("this is the text on disk, and no Python")
    (folder / "safe.py").write_text(SAFE)
    (folder / os.fsdecode(b"b\xff.py")).write_text(BLIND)
    (folder / "scaleaudit.toml").write_text('[per-file-ignores]\n"net.py" = ["SCL2"]\n')
    return folder


def run(*arguments: str, cwd, text: str = "", **more: str):
    return subprocess.run(
        [sys.executable, "-m", "scaleaudit", *arguments],
        cwd=cwd, env={**environment(), **more}, input=text.encode(), capture_output=True, check=False,
    )  # fmt: skip


def test_a_text_on_stdin_has_the_imports_and_the_settings_of_the_file_that_it_is(project):
    before = sorted(project.rglob("*.py"))
    done = run(
        "check", "-", "--stdin-filename", "modèle/net.py", "--format", "json", "--no-certify",
        cwd=project, text=MODEL, LC_ALL="C", PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")
    document = json.loads(done.stdout.decode())
    (target,) = document["targets"]
    assert (target["path"], target["name"], target["verdict"]) == (
        "modèle/net.py",
        "Looped",
        "fail",
    )
    (finding,) = (each for each in target["findings"] if each["code"] == "SCL101")
    assert finding["location"]["path"] == "modèle/net.py"
    assert "_scaleaudit_stdin_" not in done.stdout.decode()
    assert sorted(project.rglob("*.py")) == before


def test_output_is_utf_8_whatever_the_locale_and_more_is_told_on_request(project):
    done = run(
        "check", ".", "--verbose", "--color", "always", "--no-certify", "--output", "concise:o.txt",
        cwd=project, PYTHONIOENCODING="utf-16",
    )  # fmt: skip
    assert done.returncode == 0
    told = done.stdout.decode()
    assert "\x1b[1;32mpass" in told
    assert "b\\udcff.py: skipped: its name is not UTF-8" in told
    assert "modèle/net.py: skipped: declares no target" in told
    assert "\x1b" not in (project / "o.txt").read_text()
    said = done.stderr.decode("utf-16")
    assert "settings: " in said
    assert "safe.py::Looped: " in said
