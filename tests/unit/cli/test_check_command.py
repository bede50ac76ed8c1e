"""What `check` makes of a finished report, by flags and by settings; nothing is audited here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaleaudit import cli
from scaleaudit.domain.facts import Coverage, ScaleFacts
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.report import Report, TargetReport, Verdict

FACTS = ScaleFacts((), Coverage(3), loss_found=True)


def finding(code: str, severity: Severity) -> Finding:
    return Finding(code, "a-rule", severity, Confidence.PROVEN, f"{code} is broken", None)


FOUND = (finding("SCL101", Severity.ERROR), finding("SCL204", Severity.WARNING))


@pytest.fixture
def check(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.py").write_text("")

    def run(target: TargetReport, *flags: str, settings: str = "") -> tuple[int, str, str]:
        def audited(paths, options, watch, warn):
            warn("a warning")
            return Report("0", "0", (target,))

        Path("scaleaudit.toml").write_text(settings)
        monkeypatch.setattr("scaleaudit.api.audit", audited)
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", "m.py", *flags])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


FAILED = TargetReport("m.py", "M", Verdict.FAIL, FACTS, FOUND)
WARNED = TargetReport("m.py", "M", Verdict.WARN, FACTS, FOUND[1:])
UNKNOWN = TargetReport("m.py", "M", Verdict.UNKNOWN, FACTS, (), ("an operator is not known",))
LOST = TargetReport("m.py", "M", Verdict.UNKNOWN, None, (finding("SCL901", Severity.ERROR),))


@pytest.mark.parametrize(
    ("target", "flags", "settings", "code"),
    [
        (FAILED, (), "", 1),
        (FAILED, ("--exit-zero",), "", 0),
        (FAILED, (), "exit-zero = true\n", 0),
        (UNKNOWN, ("--exit-zero",), "", 0),
        (LOST, ("--exit-zero",), "", 2),
        (WARNED, (), "", 0),
        (WARNED, (), 'fail-level = "warning"\n', 1),
        (WARNED, ("--fail-level", "error"), 'fail-level = "warning"\n', 0),
        (UNKNOWN, (), "", 1),
        (UNKNOWN, (), 'on-unknown = "warn"\n', 0),
        (UNKNOWN, ("--isolated",), 'on-unknown = "warn"\n', 1),
    ],
)
def test_the_exit_code_follows_flags_over_settings(check, target, flags, settings, code):
    assert check(target, *flags, settings=settings)[0] == code


def test_quiet_says_findings_and_open_questions_alone(check):
    _, out, err = check(FAILED, "--quiet", "--format", "concise")
    assert out.splitlines() == [
        "m.py: error SCL101 SCL101 is broken",
        "m.py: warning SCL204 SCL204 is broken",
    ]
    assert err == ""
    assert check(UNKNOWN, "-q")[1] == "m.py: unknown: an operator is not known\n"


def test_warnings_and_more_are_told_on_stderr(check):
    _, out, err = check(FAILED, "--verbose", settings="jobs = 1\n")
    assert "warning: a warning" in err
    assert "settings: " in err
    assert "m.py::M: 0.0 s" in err
    assert "warning: a warning" not in out


def test_statistics_take_the_place_of_findings(check):
    assert check(FAILED, "--statistics")[1] == "1  SCL101  a-rule\n1  SCL204  a-rule\n"
    rows = json.loads(check(FAILED, "--statistics", "--format", "json")[1])
    assert [row["code"] for row in rows] == ["SCL101", "SCL204"]


def test_files_have_no_colours_and_the_terminal_those_that_are_asked_for(check):
    out = check(FAILED, "--color", "always", "--output", "full:o.txt")[1]
    assert "\x1b[1;31merror[SCL101]" in out
    assert "\x1b" not in Path("o.txt").read_text()


def test_options_of_the_audit_follow_flags_over_settings(check, monkeypatch):
    seen = []

    def audited(paths, options, watch, warn):
        seen.append(options)
        return Report("0", "0", (WARNED,))

    Path("scaleaudit.toml").write_text("jobs = 3\ntimeout = 9\ncertify = false\n")
    monkeypatch.setattr("scaleaudit.api.audit", audited)
    with pytest.raises(SystemExit):
        cli.main(["check", "m.py", "--timeout", "5", "--select", "scl1,SCL2", "--preview"])
    (options,) = seen
    assert (options.jobs, options.limits.seconds, options.limits.certify.value) == (3, 5.0, "never")
    config = options.in_force().for_run()
    assert (config.select, config.preview) == (("SCL1", "SCL2"), True)


@pytest.mark.parametrize(
    ("flags", "settings", "said"),
    [
        (("--baseline", "b.json", "--output", "json:b.json"), "", "b.json is the baseline in use"),
        (("--output", "json:b.json"), 'baseline = "b.json"\n', "b.json is the baseline in use"),
        (
            ("--write-baseline", "--output", "json:.scaleaudit-baseline.json"),
            "",
            ".scaleaudit-baseline.json is the baseline in use",
        ),
        (("--output", "json:scaleaudit.toml"), "", "is the file of settings in use"),
        (("--config", "mine", "--output", "json:mine"), "", "mine is the file of settings in use"),
        (("--output", "markdown:pages/x.md", "--rules", "pages"), "", "lies among rule pages"),
    ],
)
def test_what_a_run_reads_is_not_written_over(check, flags, settings, said):
    Path("b.json").write_text("accepted")
    Path("mine").write_text("")
    Path("pages").mkdir()
    before = {path: path.read_bytes() for path in Path().glob("*") if path.is_file()}
    code, out, err = check(FAILED, *flags, settings=settings)
    assert (code, out) == (2, "")
    assert said in err
    before[Path("scaleaudit.toml")] = settings.encode()
    assert {path: path.read_bytes() for path in Path().glob("*") if path.is_file()} == before
