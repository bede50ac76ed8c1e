"""What a hook hands over: files without models, and no file at all."""

from __future__ import annotations

import json

import pytest

from scaleaudit import cli


def _check(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", *arguments])
    return ended.value.code


def test_no_file_passes_for_a_hook_alone(capsys):
    assert _check("--skip-non-models") == 0
    assert _check("--skip-non-models", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["targets"] == []
    assert _check() == 2


def test_a_file_without_a_model_passes_for_a_hook_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "utils.py").write_text("WIDTH = 16\n")
    assert _check("--skip-non-models", "--no-cache", "utils.py") == 0
    assert "utils.py: skipped" in capsys.readouterr().out
