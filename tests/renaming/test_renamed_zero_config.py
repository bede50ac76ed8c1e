"""What is guessed of a model without a declaration is not guessed from its names."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "zero_config", HERE.parent / "end_to_end"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from answers import GUESSABLE, Expect  # noqa: E402
from projects import Project  # noqa: E402
from running import scaleaudit  # noqa: E402

MODELS = HERE.parent / "zero_config" / "models"
FILES = sorted({expect.file.removesuffix(".py") for expect in GUESSABLE})

pytestmark = pytest.mark.slow  # the folder is audited by the command line once more


def project(stem: str, out: Path) -> Project:
    """Rename a file, together with its package where it is in one."""
    package = stem.partition("/")[0] if "/" in stem else ""
    beside = sorted(MODELS.glob(f"{package}/*.py")) if package else [MODELS / f"{stem}.py"]
    files = (path.relative_to(MODELS).with_suffix("").as_posix() for path in beside)
    return Project(MODELS, tuple(files), out / stem.replace("/", "_"))


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], Any]:
    """Audit the renamed folder once; targets are told by their old file and class."""
    root = tmp_path_factory.mktemp("renamed")
    projects = {stem: project(stem, root) for stem in FILES}
    old = {}
    for stem, each in projects.items():
        path = each.renamed_path(stem).relative_to(root).as_posix()
        classes = each.renamed[2].classes
        old |= {(path, each.renamed[1].get(name, name)): (f"{stem}.py", name) for name in classes}
    run = scaleaudit("check", ".", "--format", "json", cwd=root)
    assert run.out, run.err
    found = json.loads(run.out)["targets"]
    return {
        old[target["path"], target["name"]]: target
        for target in found
        if (target["path"], target["name"]) in old
    }


@pytest.mark.parametrize("expect", GUESSABLE, ids=str)
def test_renamed_file_is_judged_as_the_theory_says(
    targets: Mapping[tuple[str, str], Any], expect: Expect
) -> None:
    target = targets[expect.file, expect.name]
    codes = {finding["code"] for finding in target["findings"]} - {"SCL903"}
    assert target["verdict"] == expect.verdict, target["findings"]
    assert set(expect.codes.split()) <= codes
    assert codes <= set(expect.codes.split()) | set(expect.maybe.split())
