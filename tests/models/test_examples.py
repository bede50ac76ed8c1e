"""The examples stand alone: plain torch runs them, and they know nothing of this package."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_fixed_example_has_a_blind_one_beside_it() -> None:
    names = {path.stem for path in EXAMPLES}
    fixed = {name.removesuffix("_fixed") for name in names if name.endswith("_fixed")}
    assert len(fixed) == 4
    assert {f"{name}_blind" for name in fixed} <= names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_imports_nothing_of_this_package(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert modules <= {"__future__", "dataclasses", "pathlib", "torch", "typing"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_says_what_the_audit_finds(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    said = "The audit finds SCL101|The audit warns with SCL205|The audit passes"
    (answer,) = re.findall(said, docstring)
    assert path.stem.endswith("_blind") == ("SCL101" in answer)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_trains_a_step(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(path).main(steps=1)
    assert "loss" in capsys.readouterr().out
