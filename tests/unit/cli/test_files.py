"""What is read must have an end: pipes that nobody writes to are refused, not waited for."""

from __future__ import annotations

import os

import pytest

from scaleaudit import cli
from scaleaudit.acceptance import Acceptance, Accepting
from scaleaudit.caching.signing import _read
from scaleaudit.cli.reports import read_report
from scaleaudit.config.files import read_file as read_settings
from scaleaudit.errors import ConfigError
from scaleaudit.files import read_file
from scaleaudit.triage.triaging import Renewal
from scaleaudit.weights.reading import read_weights

_WRITING = Accepting(Renewal.WRITE)


@pytest.mark.parametrize(
    "read",
    [
        read_report,
        read_settings,
        read_weights,
        lambda file: Acceptance(baseline=file),
        lambda file: Acceptance(_WRITING, file),
    ],
    ids=["report", "settings", "weights", "baseline", "baseline to be written"],
)
@pytest.mark.parametrize("name", ["pipe.json", "link.json"])
def test_a_pipe_is_refused_as_whatever_it_is_given(tmp_path, read, name):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to("pipe.json")
    with pytest.raises(ConfigError, match="it is no regular file"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["scaleaudit.toml", "pyproject.toml"])
def test_a_pipe_in_the_place_of_settings_is_told(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(name)
    for command in ("config", "init"):
        with pytest.raises(SystemExit) as ended:
            cli.main([command])
        assert ended.value.code == 2
        assert f"{name}: cannot be read: it is no regular file" in capsys.readouterr().err


def test_a_secret_that_is_a_pipe_is_none(tmp_path):
    os.mkfifo(tmp_path / "key", 0o600)
    assert _read(tmp_path / "key") is None


def test_a_device_is_refused_and_a_link_to_a_file_followed(tmp_path):
    with pytest.raises(OSError, match="it is no regular file"):
        read_file("/dev/null")
    (tmp_path / "a").write_bytes(b"x\r\n\xff")
    (tmp_path / "b").symlink_to("a")
    assert read_file(tmp_path / "b") == b"x\r\n\xff"
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)
