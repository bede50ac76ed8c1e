"""`config`, `init` and `completion`."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from scaleaudit import cli
from scaleaudit.cli.entry import commands


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


SETTINGS = """\
[tool.scaleaudit]
ignore = ["SCL2"]
per-file-ignores = {"old/**" = ["SCL1"]}
timeout = 9

[tool.scaleaudit.probe]
steps = 200
dtype = "bfloat16"

[[tool.scaleaudit.targets]]
path = "old/m.py"
factory = "M"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old/m.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(SETTINGS)


@pytest.mark.usefixtures("project")
def test_every_setting_is_printed_with_its_origin_and_can_be_read_back(command):
    code, out, err = command("config", "--ignore", "SCL104", "--fail-level", "note")
    assert (code, err) == (0, "")
    lines = {line.split(" = ")[0]: line for line in out.splitlines()}
    assert lines["ignore"].endswith("# pyproject.toml:2, --ignore")
    assert lines["fail-level"].endswith("# --fail-level")
    assert lines["timeout"].endswith("# pyproject.toml:4")
    assert lines["select"].endswith("# default")
    assert lines["probe"].endswith("# pyproject.toml:6")
    assert "# targets: old/m.py::M" in out
    assert re.search("^# baseline: none +# default$", out, re.MULTILINE)
    assert re.search("^# jobs: one a processor, four at most +# default$", out, re.MULTILINE)
    read = tomllib.loads(out)
    assert read["ignore"] == ["SCL2", "SCL104"]
    assert read["per-file-ignores"] == {"old/**": ["SCL1"]}
    assert (read["timeout"], read["preview"]) == (9, False)
    assert read["probe"] == {"steps": 200, "dtype": "bfloat16"}


@pytest.mark.usefixtures("project")
def test_the_settings_of_a_file_name_the_rules_that_judge_it(command):
    for path, judged in (("old/m.py", False), (None, True)):
        arguments = [] if path is None else [path]
        document = json.loads(command("config", *arguments, "--format", "json")[1])
        assert ("SCL101" in document["rules"]) is judged
        assert "SCL201" not in document["rules"]
        assert document["file"] == str(Path.cwd() / "pyproject.toml")
        assert document["settings"]["timeout"] == {"value": 9, "origin": "pyproject.toml:4"}


def test_without_a_file_everything_is_a_default(command):
    code, out, _ = command("config", "--isolated")
    assert code == 0
    assert out.startswith("# settings from no file\n")
    assert {line.rsplit("# ")[-1] for line in out.splitlines()[1:-1]} == {"default"}


def test_a_named_file_of_settings_counts(command):
    Path("mine.toml").write_text("jobs = 3\n")
    assert "jobs = 3" in command("config", "--config", "mine.toml")[1]
    code, _, err = command("config", "--config", "mine.toml", "--isolated")
    assert code == 2
    assert "--isolated uses no file" in err


@pytest.mark.parametrize(
    ("before", "gap"),
    [("", ""), ("[project]\n", "\n"), ("[a]\nb = 1", "\n\n"), ("[a]\r\nx = 'é'\r\n", "\r\n")],
)
def test_settings_to_start_from_are_added_to_what_is_there(command, before, gap):
    Path("pyproject.toml").write_bytes(before.encode())
    code, _, err = command("init")
    assert (code, err) == (0, "wrote [tool.scaleaudit] into pyproject.toml\n")
    after = Path("pyproject.toml").read_bytes().decode()
    assert after.startswith(f"{before}{gap}[tool.scaleaudit]")
    assert after.count("\r") in {0, after.count("\n")}
    assert command("config")[0] == 0
    code, _, err = command("init")
    assert code == 2
    assert "there are settings already" in err
    assert Path("pyproject.toml").read_bytes().decode() == after


def test_where_there_is_no_project_a_file_of_its_own_is_written(command):
    assert command("init")[0] == 0
    assert tomllib.loads(Path("scaleaudit.toml").read_text())["select"] == ["ALL"]
    assert command("init")[0] == 2


def test_a_file_that_takes_no_table_is_left_as_it_is(command):
    Path("pyproject.toml").write_text("tool = {x = {}}\n")
    code, _, err = command("init")
    assert code == 2
    assert "does not fit in" in err
    assert Path("pyproject.toml").read_text() == "tool = {x = {}}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_a_shell(command, shell):
    code, out, _ = command("completion", shell)
    assert code == 0
    assert f"_SCALEAUDIT_COMPLETE={shell}_complete" in out


def test_commands_and_options_are_completed():
    completion = BashComplete(commands, {}, "scaleaudit", "_SCALEAUDIT_COMPLETE")
    assert {each.value for each in completion.get_completions([], "c")} >= {"check", "config"}
    found = {each.value for each in completion.get_completions(["check"], "--per")}
    assert found == {"--per-file-ignores"}
