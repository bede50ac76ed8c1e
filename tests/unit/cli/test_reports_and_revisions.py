"""`--output`, `explain` and `diff` on reports and repositories, with audits that cost nothing."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scaleaudit import cli
from scaleaudit.cli.formats import InUse, parse_outputs
from scaleaudit.cli.revisions import Repository
from scaleaudit.domain.facts import (
    Coverage,
    Gain,
    LoopFacts,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
)
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.errors import ConfigError
from scaleaudit.report.structure import to_json

PLACE = Location("m.py", 1)
READOUT = Readout("logits", Visibility.INVARIANT, 0.0, True, (4,), PLACE)
STATE = StateFacts(
    "h", (2, 8), "float32", PLACE, Transition.CARRIED, Visibility.INVARIANT, (READOUT,),
    gain=Gain(1.0, 1.0),
)  # fmt: skip
FACTS = ScaleFacts((LoopFacts("M.forward", 4, PLACE, (STATE,)),), Coverage(3), loss_found=True)
BLIND = Finding(
    "SCL101", "blind", Severity.ERROR, Confidence.PROVEN, "it is blind", PLACE,
    subject="state `h` of loop `M.forward`", fingerprint="aabbccdd",
)  # fmt: skip
FAILED = TargetReport("m.py", "M", Verdict.FAIL, FACTS, (BLIND,))
PASSED = replace(FAILED, verdict=Verdict.PASS, findings=())


def _report(*targets: TargetReport) -> Report:
    return Report("0.1.0", "2.13.0", targets)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def reports(tmp_path):
    (tmp_path / "good.json").write_text(to_json(_report(PASSED)), encoding="utf-8")
    (tmp_path / "bad.json").write_text(to_json(_report(FAILED)), encoding="utf-8")


# --output


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (("sarf:x",), "takes FORMAT:FILE with a format of full, concise, json, sarif"),
        (("sarif",), "takes FORMAT:FILE"),
        (("sarif:",), "takes FORMAT:FILE"),
        (("sarif:-",), "it writes to files, not to the standard output"),
        (("sarif:no/such/x",), "no such folder"),
        (("sarif:.",), "is a folder"),
        (("json:x", "sarif:./x"), r"\./x is where another --output goes"),
        (("json:m.py",), "m.py is to be audited"),
        (("json:a::b.py",), "a::b.py is to be audited"),
        (("json:src/util.py",), "src/util.py is source code"),
        (("json:link",), "link is source code"),
        (("sarif:old.pt2",), "old.pt2 is an exported program"),
        (("json:other.toml",), "other.toml is a file of settings"),
        (("json:./used",), r"\./used is the baseline in use"),
        (("markdown:pages/new.md",), "pages/new.md lies among rule pages"),
    ],
    ids=str,
)
def test_an_output_that_cannot_be_is_refused(outputs, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("src/util.py", "old.pt2", "other.toml", "used", "pages/old.md", "a::b.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path("link").symlink_to("src/util.py")
    in_use = InUse(
        ("m.py::M", "src", "a::b.py"), {Path("used"): "is the baseline in use"}, (Path("pages"),)
    )
    with pytest.raises(ConfigError, match=message):
        parse_outputs(outputs, in_use)


def test_several_outputs_are_read(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("a.sarif").write_text("of the last run")
    assert parse_outputs(("sarif:a.sarif", "junit:b:c.xml", "json:new.py"), InUse(["."])) == [
        ("sarif", Path("a.sarif")),
        ("junit", Path("b:c.xml")),
        ("json", Path("new.py")),
    ]


# explain


def test_a_finding_is_explained_from_a_report(command, reports):
    code, out, _ = command("explain", "aabbcc", "--from", "bad.json")
    assert code == 0
    assert "state.active && state.blind" in out
    assert "state.blind   true" in out
    assert "+ Normalising what crosses between turns" in out
    assert "then SCL101 is gone; the verdict of the target is pass" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "aabbcc"), "a fingerprint alone does not say what to audit"),
        (("explain", "x", "--from", "bad.json"), "'x' is neither a fingerprint nor a line"),
        (("explain", "m.py:2", "--from", "bad.json"), "no finding answers to m.py:2"),
        (("explain", "m.py:1", "--from", "none.json"), "cannot read none.json: No such file"),
        (
            ("explain", "m.py:1", "--from", "m.txt"),
            "m.txt is nothing that scaleaudit wrote: it is not UTF-8",
        ),
        (("explain", "m.py:1", "m.py", "--from", "bad.json"), "so that no path is audited"),
        (("explain", "m.py:1"), "no such file or folder: m.py"),
        (("diff", "good.json", "none.json"), "cannot read none.json"),
        (("diff", "good.json", "bad.json", "x"), "git rev-parse failed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_told_is_said_without_a_traceback(
    command, reports, tmp_path, arguments, message
):
    (tmp_path / "m.txt").write_bytes(b"\xff")
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


# diff of reports


def test_a_new_finding_fails_and_a_fixed_one_does_not(command, reports):
    code, out, _ = command("diff", "good.json", "bad.json")
    assert code == 1
    assert "m.py::M: pass before, fail now" in out
    code, out, _ = command("diff", "bad.json", "good.json")
    assert code == 0
    assert "+ fixed: SCL101" in out
    assert command("diff", "good.json", "bad.json", "--exit-zero")[0] == 0


@pytest.mark.parametrize(
    ("before", "after", "flags", "code"),
    [
        (PASSED, replace(PASSED, findings=(replace(BLIND, severity=Severity.NOTE),)), (), 0),
        (
            PASSED,
            replace(PASSED, findings=(replace(BLIND, severity=Severity.NOTE),)),
            ("--fail-level", "note"),
            1,
        ),
        (replace(PASSED, findings=(replace(BLIND, severity=Severity.NOTE),)), FAILED, (), 1),
        (FAILED, FAILED, (), 0),
        (PASSED, replace(PASSED, verdict=Verdict.UNKNOWN), (), 1),
        (PASSED, replace(PASSED, verdict=Verdict.UNKNOWN), ("--on-unknown", "warn"), 0),
    ],
)
def test_the_exit_code_of_a_diff(command, tmp_path, before, after, flags, code):
    for name, target in (("a.json", before), ("b.json", after)):
        (tmp_path / name).write_text(to_json(_report(target)), encoding="utf-8")
    assert command("diff", "a.json", "b.json", *flags)[0] == code


def test_reports_of_any_name_are_read(command, reports, tmp_path):
    for name in ("good", "bad"):
        (tmp_path / f"{name}.json").rename(tmp_path / name)
    assert command("diff", "good", "bad")[0] == 1


def test_a_diff_in_json_is_json(command, reports):
    document = json.loads(command("diff", "good.json", "bad.json", "--format", "json")[1])
    (target,) = document["targets"]
    assert target["findings"][0]["status"] == "new"


# diff of revisions


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Three versions of a file, the last one not committed, beside a file that exports lack."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "sibling.py").write_text("", encoding="utf-8")
    (tmp_path / ".gitattributes").write_text("models/sibling.py export-ignore\n", encoding="utf-8")
    _git(tmp_path, "init", "--quiet")
    for text in ("good", "bad"):
        (folder / "m.py").write_text(text, encoding="utf-8")
        _git(tmp_path, "add", "--all")
        _git(tmp_path, "commit", "--quiet", "--message", text)
    (folder / "m.py").write_text("good", encoding="utf-8")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True)


@pytest.fixture
def audits(monkeypatch):
    """An audit that reads the verdict off the file, and knows whether its sibling is there."""

    def audit(paths, options, watch):
        targets = []
        for path in paths:
            assert Path(path).with_name("sibling.py").exists()
            bad = Path(path.partition("::")[0]).read_text(encoding="utf-8") == "bad"
            targets.append(FAILED if bad else PASSED)
        return _report(*targets)

    monkeypatch.setattr("scaleaudit.api.audit", audit)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("HEAD~1", "HEAD", "--", "m.py"), 1, "pass before, fail now"),
        (("HEAD~1", "HEAD", "m.py"), 1, "pass before, fail now"),
        (("HEAD", "--", "m.py"), 0, "fail before, pass now"),
        (("HEAD~1", "--", "m.py::M"), 0, "nothing changed in 1 target"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_revisions_are_audited_in_their_own_files(
    command, repository, audits, monkeypatch, arguments, code, said
):
    monkeypatch.chdir(repository)
    found, out, err = command("diff", *arguments)
    assert (found, err) == (code, "")
    assert said in out
    assert out.startswith("from HEAD")


def test_the_index_and_the_files_are_left_alone(command, repository, audits, monkeypatch):
    monkeypatch.chdir(repository)
    before = {path: path.read_bytes() for path in repository.parent.rglob("*") if path.is_file()}
    command("diff", "HEAD~1", "HEAD", "--", "m.py")
    after = {path: path.read_bytes() for path in repository.parent.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "--", "m.py"), "nothing is no revision of this repository"),
        (("HEAD", "nothing", "--", "m.py"), "nothing is no revision of this repository"),
        (("HEAD",), "no path to audit"),
        (("HEAD", "--"), "no path to audit"),
        (("HEAD", "--", "/m.py"), "/m.py is absolute"),
        (("both", "m.py"), "both is a revision as well as a path"),
        (("--", "m.py"), "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_revisions_that_cannot_be_compared_are_refused(
    command, repository, audits, monkeypatch, arguments, message
):
    monkeypatch.chdir(repository)
    _git(repository, "branch", "both")
    (repository / "both").touch()
    code, out, err = command("diff", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_file_that_a_revision_lacks_has_no_targets(command, repository, audits, monkeypatch):
    monkeypatch.chdir(repository)
    (repository / "n.py").write_text("bad", encoding="utf-8")
    code, out, err = command("diff", "HEAD", "--", "n.py")
    assert (code, "new, fail" in out) == (1, True)
    assert "has no n.py" in err


@pytest.mark.parametrize("sides", [("HEAD",), ("HEAD~1", "HEAD")], ids=len)
def test_a_path_that_neither_side_has_is_an_error(command, repository, audits, monkeypatch, sides):
    monkeypatch.chdir(repository)
    code, out, err = command("diff", *sides, "--", "m.py", "nope.py::M")
    assert (code, out) == (2, "")
    assert re.search(r"error: HEAD.* has no nope.py::M, nor has (the working tree|HEAD )", err)


def test_a_folder_that_a_revision_lacks_is_said(repository):
    (repository / "late").mkdir()
    late = Repository(repository / "late")
    revision = late.find("HEAD")
    with pytest.raises(ConfigError, match="has no folder models/late"), late.files(revision):
        pass


def test_a_name_that_is_an_option_is_no_revision(repository):
    assert Repository(repository).find("--all") is None
