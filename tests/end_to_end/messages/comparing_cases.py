"""Questions about findings, and comparisons, that cannot be answered."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import Case, commands

from scaleaudit.cli import diff, provenance
from scaleaudit.cli.diff import _asked
from scaleaudit.cli.reports import read_report
from scaleaudit.cli.revisions import Repository, Revision
from scaleaudit.config import Settings
from scaleaudit.domain.finding import Confidence, Finding, Severity
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Report, TargetReport, Verdict
from scaleaudit.errors import ConfigError
from scaleaudit.explaining.lookup import find, read_question

_REPOSITORY = SimpleNamespace(find=lambda name: name if name in {"HEAD", "main"} else None)
_WHOLE = '{"schema_version": 1, "scaleaudit": "0", "torch": "0", "targets": []}'
_REVISIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {
    "path_and_revision": (("main", "m.py"), None),
    "no_revision": (("HAED", "m.py"), None),
    "no_path": (("HEAD",), ()),
    "absolute_path": (("HEAD",), ("/m.py",)),
}


def _without_git() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "which", lambda _: None)
        Repository(Path.cwd())


def _without_repository() -> None:
    """Ask git where there is no repository; its words change from release to release."""
    try:
        Repository(Path.cwd())
    except ConfigError as error:
        message = re.sub(r"(failed:).*", r"\1 <git's words>", error.message)
        raise ConfigError(message, hint=error.hint) from None


def _without_the_folder() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repository, "_git", lambda *_, **__: "")
        repository = object.__new__(Repository)
        repository.inside, repository._root = Path("sub"), Path.cwd()
        with repository.files(Revision("main", "0" * 40)):
            raise AssertionError


def _path_of_neither() -> None:
    """Ask for a path that is not there now, of a repository that never had anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "Repository", _Empty)
        diff._revisions(("HEAD",), ("m.pyy",), Settings())


class _Empty:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> Revision:
        return Revision(name, "0" * 40)

    def files(self, _: Revision) -> nullcontext[Path]:
        return nullcontext(self._folder / "gone")


def _dated_wrong() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "yesterday")
        patch.setattr(provenance, "_git", lambda *_: "")
        provenance.this_run(("html",))


def _found(*codes: str, question: str) -> None:
    findings = tuple(
        Finding(
            code,
            "a-rule",
            Severity.ERROR,
            Confidence.PROVEN,
            "It is so.",
            Location("m.py", 3),
            fingerprint=f"{i}abc",
        )
        for i, code in enumerate(codes)
    )
    target = TargetReport("m.py", "M", Verdict.FAIL, None, findings)
    find(Report("0", "0", (target,)), read_question(question))


def cases() -> Iterator[Case]:
    """Return every case."""
    for name, (sides, given) in _REVISIONS.items():
        files = {"main": ""} if name == "path_and_revision" else {}
        yield Case(f"diff_{name}", partial(_asked, sides, given, _REPOSITORY), files)
    yield Case("diff_without_git", _without_git)
    yield Case("diff_without_a_repository", _without_repository)
    yield Case("diff_without_the_folder", _without_the_folder)
    yield Case("diff_path_of_neither", _path_of_neither)
    yield Case("report_gone", partial(read_report, Path("gone.json")))
    yield Case("report_no_text", partial(read_report, Path("r.json")), {"r.json": b"\xff"})
    yield Case("report_dated_wrong", _dated_wrong)
    yield Case("explain_no_question", partial(read_question, "what"))
    yield Case("explain_nothing", partial(_found, "SCL101", question="m.py:99"))
    yield Case("explain_several", partial(_found, "SCL101", "SCL201", question="m.py:3"))
    yield from commands(
        {
            "explain_fingerprint_alone": "explain 0123abcd",
            "explain_from_and_paths": "explain m.py:3 m.py --from r.json",
            "report_against_elsewhere": "report r.json --format json --against r.json",
            "report_of_a_page_of_others": "report page.html",
            "report_with_no_traces": "report whole.json --traces r.json",
            "report_with_empty_traces": "report whole.json --traces empty.jsonl",
        },
        {"r.json": "{}", "page.html": "<p>hello", "empty.jsonl": "\n", "whole.json": _WHOLE},
    )
