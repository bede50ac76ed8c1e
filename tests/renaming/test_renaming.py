"""No name changes a verdict: every model, renamed throughout, is judged as before."""

from __future__ import annotations

import ast
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "models"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from projects import Project  # noqa: E402
from zoo import THEMES, Case, cases  # noqa: E402

from scaleaudit.api import audit_facts  # noqa: E402
from scaleaudit.domain.facts import ScaleFacts  # noqa: E402
from scaleaudit.domain.report import TargetReport  # noqa: E402
from scaleaudit.errors import ScaleAuditError  # noqa: E402
from scaleaudit.rules.engine import Evaluation, evaluate  # noqa: E402
from scaleaudit.rules.loader import load_rules  # noqa: E402
from scaleaudit.triage.fingerprints import completed  # noqa: E402
from scaleaudit.triage.sources import SourceFile  # noqa: E402

ROOT = HERE.parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
RULES = load_rules()
# Targets of a theme that every run renames; the others take minutes.
SAMPLE = 3


def sampled() -> Iterator[pytest.param]:
    """Mark as slow all but a few of every theme, spread over it."""
    for theme in THEMES:
        found = [case for case in cases() if case.theme == theme]
        step = max(len(found) // SAMPLE, 1)
        for index, case in enumerate(found):
            chosen = index % step == 0 and index // step < SAMPLE
            yield pytest.param(case, id=str(case), marks=() if chosen else pytest.mark.slow)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Rename all themes together, with what they share."""
    files = ("expect", "parts", *THEMES)
    return Project(ROOT / "tests" / "models", files, tmp_path_factory.mktemp("renamed"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", list(sampled()))
def test_renamed_model_of_the_zoo_has_the_same_facts(zoo: Project, case: Case) -> None:
    assert_same(zoo, case.theme, case.function)


@pytest.mark.parametrize("name", EXAMPLES)
def test_renamed_example_has_the_same_facts(tmp_path: Path, name: str) -> None:
    assert_same(Project(ROOT / "examples", (name,), tmp_path), name, "scaleaudit_target")


def assert_same(project: Project, stem: str, function: str) -> None:
    renamed = project.renamed_path(stem)
    old, new = audited(project.path(stem), function), audited(renamed, function)
    if isinstance(old, str) or isinstance(new, str):
        assert old == new
        return
    assert project.new_facts(new) == project.old_facts(old)
    judged, again = (evaluate(RULES, "path", "target", facts) for facts in (old, new))
    assert again.verdict == judged.verdict
    assert [f.code for f in again.findings] == [f.code for f in judged.findings]
    assert fingerprints(again) == fingerprints(judged)


def fingerprints(judged: Evaluation) -> Counter[str]:
    paths = {found.location.path for found in judged.findings if found.location}
    files = {path: SourceFile(path, Path(path).read_bytes()) for path in paths if path != "path"}
    target = TargetReport("path", "target", judged.verdict, None, judged.findings)
    return Counter(found.fingerprint for found in completed(target, files).findings)


def audited(path: Path, function: str) -> ScaleFacts | str:
    """Audit one target; what draws numbers draws the same ones."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    try:
        return audit_facts(str(path), function)
    except ScaleAuditError as error:
        return type(error).__name__


def test_no_variable_function_or_class_of_the_zoo_keeps_its_name(zoo: Project) -> None:
    trees, names, defined = zoo.renamed
    left = {name for tree in trees.values() for name in bound(tree)} & set(names)
    assert not left
    justified = {"the language's", "a declaration", "imported", "a builtin"}
    assert set(defined.kept.values()) <= justified
    others = [name for name, why in defined.kept.items() if why in {"imported", "a builtin"}]
    assert len(others) < 0.03 * len(names), sorted(others)


def test_few_attributes_of_the_zoo_keep_their_name(zoo: Project) -> None:
    """An attribute that tensors have as well stays where its owner cannot be told."""
    trees, names, defined = zoo.renamed
    before = [a for tree in zoo.trees.values() for a in attributes(tree)]
    after = [a for tree in trees.values() for a in attributes(tree)]
    own = [name for name in before if name in defined.attributes and name in names]
    left = [name for name in after if name in defined.attributes and name in names]
    assert len(left) < 0.15 * len(own), sorted(set(left))


def bound(tree: ast.Module) -> Iterator[str]:
    """Yield every name of a variable, parameter, function or class that a file binds."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ClassDef(name=name):
                yield name
            case _:
                pass


def attributes(tree: ast.Module) -> Iterator[str]:
    """Yield every attribute of something else than a module of torch."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="torch" | "nn" | "F")):
                pass
            case ast.Attribute(attr=name):
                yield name
            case _:
                pass
