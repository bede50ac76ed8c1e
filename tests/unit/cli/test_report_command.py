"""`report`, and how a report came about; nothing is audited here."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scaleaudit import cli
from scaleaudit.cli.provenance import this_run, with_provenance
from scaleaudit.domain.facts import (
    Coverage,
    LoopFacts,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.probing import StateTrace, TrainingRun, Turn
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.report.structure import to_json
from scaleaudit.traces import run_line

PLACE = Location("m.py", 2)
STATE = StateFacts("h", (2,), "float32", PLACE, Transition.CARRIED, Visibility.INVARIANT)
FACTS = ScaleFacts((LoopFacts("M.forward", 4, PLACE, (STATE,)),), Coverage(3), loss_found=True)
BLIND = Finding(
    "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "it is blind", PLACE, fingerprint="aa"
)
FAILED = TargetReport("m.py", "M", Verdict.FAIL, FACTS, (BLIND,))
PASSED = replace(FAILED, verdict=Verdict.PASS, findings=())
SOURCE = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\n"


def _report(target: TargetReport) -> Report:
    return Report("0.1.0", "2.13.0", (target,))


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text(to_json(_report(FAILED)), encoding="utf-8")
    Path("good.json").write_text(to_json(_report(PASSED)), encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


# report


def test_results_become_a_page_and_a_page_gives_them_back(command):
    code, page, err = command("report", "bad.json")
    assert (code, err) == (0, "")
    assert page.startswith("<!doctype html>")
    Path("bad.html").write_text(page, encoding="utf-8")
    assert command("report", "bad.html", "--format", "json")[1] == Path("bad.json").read_text()
    assert command("report", "bad.html")[1] == page


def test_files_are_written_and_nothing_is_printed_beside_them(command):
    code, out, err = command("report", "bad.json", "--output", "html:a.html", "--output", "full:a")
    assert (code, out, err) == (0, "", "wrote a.html\nwrote a\n")
    assert Path("a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "SCL101" in Path("a").read_text(encoding="utf-8")


def test_a_page_tells_what_changed(command):
    command("report", "good.json", "--output", "html:good.html")
    _, page, _ = command("report", "bad.json", "--against", "good.html")
    assert "Changes since" in page
    assert "new: SCL101" in page
    code, out, _ = command("diff", "good.html", "bad.json")
    assert (code, "new: SCL101" in out) == (1, True)


def test_traces_are_plotted_beside(command):
    turns = ((Turn(1.0, 1.0, 1.0),), (Turn(9.0, 9.0, 9.0),))
    run = TrainingRun(0, "", (0, 10), (3.0, 2.0), (StateTrace("h", "loop", turns),), 1.0)
    lines = json.dumps({"path": "t.py", "target": "44m", "kind": "outcome", "verdict": "x"})
    Path("traces.jsonl").write_text(f"{lines}\n\n{run_line('t.py', '44m', run)}", encoding="utf-8")
    _, page, _ = command("report", "bad.json", "--traces", "traces.jsonl")
    assert "Training that was kept" in page
    assert "t.py::44m" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bad.json", "--format", "json", "--against", "good.json"), "are shown in HTML"),
        (("bad.json", "--output", "html:bad.json"), "bad.json is to be read"),
        (("page.html",), "page.html is a page that holds no results"),
        (("new.json",), "new.json was written by a newer scaleaudit: its schema version is 99"),
        (("bad.json", "--traces", "good.json"), "line 1 of good.json is no trace of training"),
        (("bad.json", "--traces", "empty"), "empty holds no run of training"),
        (("gone.json",), "cannot read gone.json"),
    ],
)
def test_what_cannot_be_shown_is_refused(command, arguments, message):
    Path("page.html").write_text("<!doctype html><p>hello", encoding="utf-8")
    Path("new.json").write_text('{"schema_version": 99}', encoding="utf-8")
    Path("empty").write_text("\n", encoding="utf-8")
    kept = Path("bad.json").read_bytes()
    code, out, err = command("report", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err or "gone" in message
    assert Path("bad.json").read_bytes() == kept


def test_results_of_an_earlier_release_are_shown(command):
    """All that was added to the format since may be missing."""
    document = json.loads(Path("bad.json").read_text())
    for name in ("run", "excerpts", "rules", "stale", "skipped"):
        del document[name]
    (target,) = document["targets"]
    for name in ("seconds", "suppressed", "certification", "probe", "loss_found"):
        del target[name]
    del target["coverage"]["supervision"], target["loops"][0]["turns_from"]
    (state,) = target["loops"][0]["states"]
    for name in ("identity_path", "transition_proof", "seen_through", "carried_dtype"):
        del state[name]
    Path("old.json").write_text(json.dumps(document), encoding="utf-8")
    code, page, err = command("report", "old.json")
    assert (code, err) == (0, "")
    assert "SCL101" in page


# How a report came about


@pytest.fixture
def checked(command, monkeypatch):
    Path("m.py").write_text(SOURCE)
    monkeypatch.setattr("scaleaudit.api.audit", lambda *_: _report(FAILED))

    def run(*flags: str) -> dict:
        return json.loads(command("check", "m.py", "--format", "json", *flags)[1])

    return run


def test_json_says_what_was_run_when_and_with_what(checked, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    run = checked("--no-cache")["run"]
    assert run == {
        "command": ["scaleaudit", "check", "m.py", "--format", "json", "--no-cache"],
        "date": "2001-09-09T01:46:40Z",
        "python": platform.python_version(),
        "revision": None,
    }


def test_the_lines_that_are_named_are_quoted(checked):
    assert checked()["excerpts"] == [
        {"path": "m.py", "line": 1, "text": "a = 1\nb = 2\nc = 3\nd = 4"}
    ]


def test_a_revision_is_told_with_whether_it_was_changed(checked, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for arguments in (
        ("init", "-q"),
        ("add", "m.py"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"),
    ):
        subprocess.run(("git", *arguments), check=True)
    revision = checked()["run"]["revision"]
    assert len(revision["commit"]) == 40
    assert not revision["modified"]
    Path("m.py").write_text(SOURCE + "g = 7\n")
    assert checked()["run"]["revision"] == {**revision, "modified": True}


def test_what_a_repository_wants_to_run_is_not_run(checked):
    subprocess.run(("git", "init", "-q"), check=True)
    subprocess.run(("git", "config", "core.fsmonitor", "touch ran; false"), check=True)
    subprocess.run(
        ("git", "-c", "core.fsmonitor=false", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm",
         "x", "--allow-empty"), check=True,
    )  # fmt: skip
    assert checked()["run"]["revision"]
    assert not Path("ran").exists()


def test_without_git_there_is_no_revision(checked, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert checked()["run"]["revision"] is None


def test_a_date_that_is_none_is_refused_before_the_audit(command, monkeypatch):
    Path("m.py").write_text(SOURCE)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    code, _, err = command("check", "m.py", "--output", "html:r.html")
    assert (code, Path("r.html").exists()) == (2, False)
    assert "SOURCE_DATE_EPOCH is 'yesterday', and no number of seconds" in err


def test_other_formats_ask_nothing_of_git_and_the_clock():
    assert this_run(("full", "sarif")) is None
    made = _report(FAILED)
    assert with_provenance(made, None) is made
