from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scaleaudit import cli
from scaleaudit.cli.entry import ENTRIES
from scaleaudit.cli.lazy import load
from scaleaudit.cli.outcomes import exit_code
from scaleaudit.console import Progress, say, wants_colour, write_atomically
from scaleaudit.domain.facts import Coverage, ScaleFacts
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.errors import ConfigError

FACTS = ScaleFacts((), Coverage(3), loss_found=True)


def _report(*severities: Severity, verdict: Verdict = Verdict.PASS, audited: bool = True) -> Report:
    findings = tuple(
        Finding("SCL1", "n", severity, Confidence.PROVEN, "m", None) for severity in severities
    )
    target = TargetReport("m.py", "M", verdict, FACTS if audited else None, findings)
    return Report("0.1.0", "2.13.0", (target,))


@pytest.fixture
def command(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize(
    ("report", "level", "unknown_fails", "code"),
    [
        (_report(), Severity.ERROR, True, 0),
        (_report(Severity.ERROR), Severity.ERROR, True, 1),
        (_report(Severity.WARNING), Severity.ERROR, True, 0),
        (_report(Severity.WARNING), Severity.WARNING, True, 1),
        (_report(Severity.NOTE), Severity.WARNING, True, 0),
        (_report(Severity.NOTE), Severity.NOTE, True, 1),
        (_report(verdict=Verdict.UNKNOWN), Severity.ERROR, True, 1),
        (_report(verdict=Verdict.UNKNOWN), Severity.ERROR, False, 0),
        (_report(Severity.ERROR, verdict=Verdict.UNKNOWN, audited=False), Severity.NOTE, False, 2),
        (replace(_report(), targets=()), Severity.NOTE, True, 0),
    ],
)
def test_the_exit_code_follows_findings_verdicts_and_failures(report, level, unknown_fails, code):
    assert exit_code(report, level, unknown_fails=unknown_fails) == code


def test_two_outranks_one():
    both = replace(
        _report(Severity.ERROR),
        targets=(*_report(Severity.ERROR).targets, *_report(audited=False).targets),
    )
    assert exit_code(both, Severity.ERROR, unknown_fails=True) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "Missing argument"),
        (["chekc", "x"], "No such command"),
        (["check", "gone.py"], "no such file or folder: gone.py"),
        (["check", "x.py", "--format", "yaml"], "yaml"),
        (["check", "x.py", "--output", "report.json"], "FORMAT:FILE"),
        (["check", "x.py", "--output", "json:"], "FORMAT:FILE"),
        (["check", "x.py", "--output", "json:/nowhere/at/all.json"], "no such folder"),
        (["check", "x.py", "--timeout", "0"], "--timeout"),
        (["check", "x.py", "--timeout", "1e300"], "--timeout"),
        (["check", "x.py", "--rules", "nowhere"], "nowhere"),
        (["rule", "SCL1001"], "did you mean 'SCL101'?"),
        (["rule", "\x1b[2J"], "no rule has the code"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2_and_no_traceback(command, arguments, words):
    code, _, err = command(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert "\x1b[2J" not in err


def test_a_mistake_in_the_settings_has_exit_code_2(command, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.scaleaudit]\nfail-levl = 'note'\n")
    (tmp_path / "m.py").write_text("")
    monkeypatch.chdir(tmp_path)
    code, _, err = command("check", "m.py")
    assert code == 2
    assert "did you mean 'fail-level'?" in err


def test_a_failure_of_ours_says_so_and_where_the_traceback_is(command, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("inner workings")

    monkeypatch.setattr("scaleaudit.rules.loader.load_rules", broken)
    code, _, err = command("rules")
    assert code == 2
    assert "this is a bug of scaleaudit (RuntimeError)" in err
    assert "Traceback" not in err
    log = Path(err.rsplit("report it with ", 1)[1].strip().rstrip("."))
    assert "inner workings" in log.read_text()
    log.unlink()


def test_ctrl_c_ends_with_the_code_that_shells_expect(command, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scaleaudit.rules.loader.load_rules", interrupted)
    assert command("rules")[0] == 130


@pytest.mark.parametrize("name", ENTRIES)
def test_what_help_lists_is_what_each_command_says_of_itself(name):
    found = load(ENTRIES[name])
    assert found.name == name
    assert (found.help or "").splitlines()[0] == ENTRIES[name].summary


def test_rules_are_listed_with_severity_status_and_summary(command):
    code, out, _ = command("rules")
    assert code == 0
    assert "SCL101  error    stable      blind-recurrent-scale" in out


def test_a_page_is_printed_as_it_stands_where_there_is_no_terminal(command):
    code, out, _ = command("rule", "scl101")
    assert code == 0
    assert out.startswith("# SCL101 blind-recurrent-scale\n")


def test_a_page_is_rendered_where_colours_are_wanted(command, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, out, _ = command("rule", "SCL101")
    assert "\x1b[" in out
    assert "blind-recurrent-scale" in out


def test_the_version_is_told(command):
    assert command("--version")[1] == "scaleaudit, version 0.1.0\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "stream", "wanted"),
    [
        ({}, _Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, _Terminal(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, _Terminal(), False),
        ({"NO_COLOR": ""}, _Terminal(), True),
        ({"TERM": "dumb"}, _Terminal(), False),
    ],
)
def test_colours_follow_the_environment_and_the_terminal(monkeypatch, environment, stream, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(stream) is wanted


def test_progress_is_shown_on_a_terminal_alone():
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        progress = Progress(stream)
        progress.show(1, 3, "m.py::\x1b[2JM")
        progress.clear()
    assert "1 of 3 done: m.py::?[2JM" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""


def test_nothing_said_commands_the_terminal(capsys):
    say("a\x1b[2J\nb\ud800")
    assert capsys.readouterr().err == "a\\x1b[2J\\nb\\ud800\n"


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path):
    file = tmp_path / "report.json"
    file.write_text("old")
    file.chmod(0o640)
    write_atomically(file, "new")
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        write_atomically(tmp_path / "report.json", "new")
    finally:
        os.umask(mask)
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        write_atomically(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_narrow_encoding_shows_escapes_and_does_not_fail():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import click\nfrom scaleaudit.console import forgive_characters\n"
                "forgive_characters()\nclick.echo('\\u2016h\\u2016')\n"
            ),
        ],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == b"\\u2016h\\u2016"


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["rules"]])
def test_torch_is_not_loaded_by_the_command_line(arguments):
    script = (
        "import json, sys\nfrom scaleaudit.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = json.loads(done.stderr)
    assert not {"torch", "numpy"} & set(loaded)


def test_help_loads_none_of_the_stages():
    script = (
        "import sys\nfrom scaleaudit.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = set(done.stderr.decode().split())
    assert not loaded & {"msgspec", "rich", "yaml", "scaleaudit.api", "scaleaudit.rules"}
