"""Sources and baselines are read where they lie, and nothing is written that should not be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from triage_support import MODEL, STATE, finding, source, target

from scaleaudit.acceptance import Acceptance, Accepting
from scaleaudit.choosing import RuleBook
from scaleaudit.config import Settings
from scaleaudit.domain.finding import SuppressionKind
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import StaleEntry, TargetReport
from scaleaudit.errors import ConfigError
from scaleaudit.triage.triaging import Renewal

BOOK = RuleBook(Settings(isolated=True))
TEXT = source(MODEL).text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(TEXT, encoding="utf-8")
    return tmp_path


def applied(
    *targets: TargetReport,
    baseline: Path | None = None,
    warned: list[str] | None = None,
    **accepting: object,
) -> tuple[tuple[TargetReport, ...], tuple[StaleEntry, ...]]:
    warn = (warned if warned is not None else []).append
    acceptance = Acceptance(Accepting(**accepting), baseline, warn)  # type: ignore[arg-type]
    return acceptance.apply(targets, BOOK, frozenset(each.path for each in targets))


@pytest.mark.usefixtures("folder")
def test_a_target_may_be_spelled_as_the_user_likes() -> None:
    text = TEXT.replace("range(4):", "range(4):  # scaleaudit: ignore[SCL101] old")
    Path("model.py").write_text(text, encoding="utf-8")
    for path in ("./model.py", str(Path("model.py").absolute())):
        (report,), _ = applied(target(finding(STATE), path=path))
        assert [each.reason for each in report.suppressed] == ["old"]
        (idle,), _ = applied(target(path=path))
        assert [each.code for each in idle.findings] == ["SCL905"]


def test_a_baseline_names_files_as_seen_from_its_folder(folder: Path) -> None:
    Path("known").mkdir()
    file = Path("known/base.json")
    applied(target(finding(STATE), path="./model.py"), baseline=file, renewal=Renewal.WRITE)
    assert '"path": "../model.py"' in file.read_text(encoding="utf-8")
    _, stale = applied(target(), baseline=file)
    assert [entry.path for entry in stale] == ["model.py"]
    os.chdir(folder / "known")
    moved = replace(finding(STATE), location=Location("../model.py", STATE))
    (report,), stale = applied(target(moved, path="../model.py"), baseline=Path("base.json"))
    assert [each.kind for each in report.suppressed] == [SuppressionKind.BASELINE]
    assert stale == ()


@pytest.mark.usefixtures("folder")
def test_what_is_written_or_pruned_is_told_and_no_longer_stale() -> None:
    file, told = Path("b.json"), list[str]()
    two = target(finding(STATE), finding(STATE, "SCL204", "f1"))
    applied(two, baseline=file, renewal=Renewal.WRITE, tell=told.append)
    _, stale = applied(target(finding(STATE)), baseline=file)
    assert [entry.code for entry in stale] == ["SCL204"]
    _, stale = applied(
        target(finding(STATE)), baseline=file, renewal=Renewal.PRUNE, tell=told.append
    )
    assert stale == ()
    assert told == [
        "b.json accepts 2 findings; 0 no longer found were taken out",
        "b.json accepts 1 finding; 1 no longer found were taken out",
    ]


@pytest.mark.usefixtures("folder")
def test_a_baseline_that_is_not_there_is_told_unless_it_is_to_be_written() -> None:
    with pytest.raises(ConfigError, match="no such baseline"):
        Acceptance(baseline=Path("b.json"))
    Acceptance(Accepting(Renewal.WRITE), Path("b.json"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Acceptance(Accepting(Renewal.WRITE), Path())


@pytest.mark.usefixtures("folder")
def test_no_other_file_is_taken_for_a_baseline_and_written_over() -> None:
    Path("package.json").write_text('{"name": "x"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="no baseline of scaleaudit"):
        Acceptance(Accepting(Renewal.WRITE), Path("package.json"))
    assert Path("package.json").read_text(encoding="utf-8") == '{"name": "x"}'


@pytest.mark.usefixtures("folder")
def test_comments_are_written_told_and_heard_by_the_next_run() -> None:
    told, warned = list[str](), list[str]()
    found = target(finding(STATE), finding(3, "SCL901"))
    (report,), _ = applied(found, add_ignores=True, reason="old", tell=told.append, warned=warned)
    assert [each.code for each in report.findings] == ["SCL901"]
    assert told == ["comments accept 1 finding; 1 file written"]
    assert warned == ["model.py:3: no comment accepts SCL901: SCL901 cannot be accepted"]
    (again,), _ = applied(target(finding(STATE)))
    assert again.findings == ()
    assert again.suppressed[0].reason == "old"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("env/lib/site-packages/blocks.py", "belongs to an installed package"),
        ("{outside}/blocks.py", "is outside of the working directory"),
    ],
)
def test_files_of_others_are_not_written(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, path: str, why: str
) -> None:
    file = folder / path.format(outside=tmp_path_factory.mktemp("others"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TEXT, encoding="utf-8")
    named = str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
    warned = list[str]()
    found = target(finding(STATE, location=Location(named, STATE)))
    (report,), _ = applied(found, add_ignores=True, warned=warned)
    assert len(report.findings) == 1
    assert why in warned[0]
    assert file.read_text(encoding="utf-8") == TEXT


@pytest.mark.usefixtures("folder")
def test_sources_of_an_exported_program_are_not_written() -> None:
    warned = list[str]()
    applied(target(finding(STATE), path="model.pt2"), add_ignores=True, warned=warned)
    assert "was exported" in warned[0]
    assert Path("model.py").read_text(encoding="utf-8") == TEXT
