"""The file that stands in for the standard input, and how much the command line says where."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scaleaudit.choosing import RuleBook
from scaleaudit.cli.manners import colour_flag, columns_of, use_colour, write_out
from scaleaudit.cli.stdin import standing_in
from scaleaudit.config import Settings
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.errors import ConfigError


@pytest.fixture
def typed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return put


def report(path: str) -> Report:
    place = Location(f"/work/{path}", 3)
    finding = Finding("X1", "x", Severity.ERROR, Confidence.PROVEN, f"{path} is bad", place)
    target = TargetReport(path, "M", Verdict.FAIL, None, (finding,))
    return Report("0", "0", (target,), sources=((path, "text"),))


def test_the_text_is_in_a_file_beside_the_named_one_for_as_long_as_it_is_needed(typed):
    typed("x = 1\n")
    Path("pkg").mkdir()
    with standing_in(["-"], "pkg/net.py") as standin:
        assert standin.file.parent == Path("pkg")
        assert standin.file.read_text() == "x = 1\n"
        assert standin.file.stem.isidentifier()
        first = standin.file
    assert not first.exists()
    typed("x = 1\n")
    with standing_in(["-"], "pkg/net.py") as again:
        assert again.file == first


def test_the_file_goes_when_the_audit_fails(typed):
    typed("x = 1\n")
    with pytest.raises(ConfigError), standing_in(["-"], None):
        raise ConfigError("no luck")
    assert list(Path().iterdir()) == []


def test_two_runs_of_one_text_have_files_of_their_own(typed):
    typed("x = 1\n")
    with standing_in(["-"], None) as first:
        typed("x = 1\n")
        with standing_in(["-"], None) as second:
            assert first.file != second.file
        assert first.file.exists()


def test_what_a_killed_run_left_is_taken_away(typed):
    typed("x = 1\n")
    with standing_in(["-"], None) as standin:
        left = standin.file.with_name(standin.file.name.replace(".py", "0.py"))
        left.write_text("")
        typed("x = 2\n")
        with standing_in(["-"], None):
            assert not left.exists()
            assert standin.file.exists()


@pytest.mark.parametrize(("name", "told"), [("pkg/net.py", "pkg/net.py"), (None, "<stdin>")])
def test_a_report_speaks_of_the_name_alone(typed, name, told):
    Path("pkg").mkdir()
    typed("")
    with standing_in(["-"], name) as standin:
        found = standin.renamed(report(str(standin.file)))
    (target,) = found.targets
    assert target.path == told
    assert target.findings[0].message == f"{told} is bad"
    assert target.findings[0].location.path == f"/work/{told}"
    assert found.sources == ((told, "text"),)


def test_the_text_is_judged_by_the_settings_of_the_file_that_it_is(typed):
    typed("")
    Path("scaleaudit.toml").write_text('[per-file-ignores]\n"net.py" = ["SCL1"]\n')
    with standing_in(["-"], "net.py") as standin:
        settings = replace(Settings(), alias=standin.alias)
        codes = {rule.code for rule in RuleBook(settings).for_file(str(standin.file))}
    assert "SCL101" not in codes
    assert "SCL201" in codes


def test_other_paths_are_left_alone():
    with standing_in(["m.py"], None) as standin:
        assert standin is None


class _Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("flag", "terminal", "environment", "wanted"),
    [
        ("auto", True, "", True),
        ("auto", False, "", False),
        ("auto", True, "NO_COLOR", False),
        ("always", False, "NO_COLOR", True),
        ("never", True, "FORCE_COLOR", False),
    ],
)
def test_the_flag_for_colours_overrides_the_environment(
    monkeypatch, flag, terminal, environment, wanted
):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if environment:
        monkeypatch.setenv(environment, "1")

    @click.command()
    @colour_flag
    def command() -> None:
        click.echo(use_colour(_Stream(terminal=terminal)))

    assert CliRunner().invoke(command, ["--color", flag]).output == f"{wanted}\n"


def test_lines_are_broken_for_terminals_alone(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert [columns_of(_Stream(terminal=terminal)) for terminal in (True, False)] == [70, 0]


def test_a_pipe_gets_utf_8_whatever_the_locale(monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", pipe)
    write_out("‖h‖ \udcff\n")
    assert pipe.buffer.getvalue() == "‖h‖ \\udcff\n".encode()
