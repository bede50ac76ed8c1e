"""What the command line does where its streams or its folder are not there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scaleaudit import cli
from scaleaudit.console import open_closed_streams, say

_CLOSING = """
import os, sys
os.closerange(0, 3)
sys.stdin = sys.stdout = sys.stderr = None
from scaleaudit.console import open_closed_streams
open_closed_streams()
print("nowhere")
taken = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
assert taken > 2, taken
assert sys.stdin is None
os.write(taken, b"done")
"""


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path):
    file = tmp_path / "told"
    subprocess.run([sys.executable, "-c", _CLOSING, str(file)], check=True, timeout=60)
    assert file.read_text() == "done"


def test_streams_that_are_there_are_left_alone(capsys):
    before = sys.stdout, sys.stderr
    open_closed_streams()
    assert (sys.stdout, sys.stderr) == before


def test_an_error_has_its_code_though_nobody_can_be_told(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError

        def flush(self):
            raise OSError

    monkeypatch.setattr(sys, "stderr", Full())
    say("unheard")
    for arguments in (["check", "nope"], ["check", "--nope"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 2


def test_another_error_of_the_system_is_a_bug(monkeypatch, capsys, tmp_path):
    def broken():
        raise FileNotFoundError(2, os.strerror(2), "inner.py")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("scaleaudit.rules.loader.shipped_folder", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main(["rules"])
    assert ended.value.code == 2
    assert "this is a bug of scaleaudit (FileNotFoundError)" in capsys.readouterr().err


def test_a_bug_is_told_where_no_log_can_be_kept(monkeypatch, capsys, tmp_path):
    def broken():
        raise RuntimeError

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr("scaleaudit.rules.loader.shipped_folder", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main(["rules"])
    assert ended.value.code == 2
    assert "could not be kept: No such file or directory." in capsys.readouterr().err
