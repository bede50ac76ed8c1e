"""Models as people write them are audited from a bare path: nothing declared, nothing imported."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MODELS = HERE / "models"
for folder in (HERE, HERE.parent / "end_to_end"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from answers import GUESSABLE, UNGUESSABLE, Expect  # noqa: E402
from running import scaleaudit  # noqa: E402

ANSWERS = {"pass", "warn", "fail"}
Targets = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def targets() -> Targets:
    """Audit the whole folder once, from within it."""
    run = scaleaudit("check", ".", "--format", "json", cwd=MODELS)
    assert run.out, run.err
    found = json.loads(run.out)["targets"]
    return {(target["path"], target["name"]): target for target in found}


def test_every_file_is_expected_something_of() -> None:
    helpers = {"depth_recurrent/__init__.py", "depth_recurrent/layers.py"}
    files = {path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*.py")}
    assert files - helpers == {expect.file for expect in GUESSABLE} | set(UNGUESSABLE)


@pytest.mark.parametrize("path", sorted(MODELS.rglob("*.py")), ids=lambda path: path.stem)
def test_no_file_knows_of_the_audit(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    names = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert "scaleaudit" not in source
    assert not any(name.startswith("scaleaudit") for name in names)


def test_nearly_every_guessable_file_is_audited(targets: Targets) -> None:
    files = {expect.file for expect in GUESSABLE}
    audited = {path for (path, _), target in targets.items() if target["verdict"] in ANSWERS}
    assert len(files) == 20
    assert len(files & audited) >= 18, sorted(files - audited)


@pytest.mark.parametrize("expect", GUESSABLE, ids=str)
def test_audit_says_what_the_theory_says(targets: Targets, expect: Expect) -> None:
    of_file = {name: target for (path, name), target in targets.items() if path == expect.file}
    target = of_file.get(expect.name)
    if target is None or target["verdict"] not in ANSWERS:  # how many may be is tested above
        answered_with_a_declaration(expect.file, expect.name)
        return
    codes = {finding["code"] for finding in target["findings"]}
    assert target["verdict"] == expect.verdict, codes
    assert bool(target["loops"]) == expect.loops
    assert set(expect.codes.split()) <= codes
    assert codes <= set(expect.codes.split()) | set(expect.maybe.split()) | {"SCL903"}
    assert not (expect.loss and "SCL903" in codes)


@pytest.mark.parametrize("file", UNGUESSABLE)
def test_what_cannot_be_guessed_gets_no_verdict(targets: Targets, file: str) -> None:
    verdicts = {target["verdict"] for (path, _), target in targets.items() if path == file}
    assert not verdicts & ANSWERS


@pytest.mark.parametrize("file", UNGUESSABLE)
def test_what_cannot_be_guessed_is_answered_with_a_declaration_to_paste(file: str) -> None:
    answered_with_a_declaration(file, UNGUESSABLE[file])


def answered_with_a_declaration(file: str, name: str) -> None:
    run = scaleaudit("check", file, cwd=MODELS)
    said = run.out + run.err
    assert run.code == 2, said
    assert "def scaleaudit_target" in said
    assert f"{name}(" in said
