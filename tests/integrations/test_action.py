"""The GitHub action: in the form that GitHub asks for, and safe whatever its inputs say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
# What GitHub's reference of a composite action's metadata lays down.
_TEXT = {"type": "string"}
_RUN = {
    "type": "object",
    "required": ["run", "shell", "name"],
    "properties": {"env": {"type": "object", "additionalProperties": _TEXT}},
    "propertyNames": {"enum": ["name", "id", "if", "env", "run", "shell", "working-directory"]},
}
_USES = {
    "type": "object",
    "required": ["uses", "name"],
    "properties": {
        "uses": {"pattern": r"^[\w.-]+/[\w./-]+@v\d+(\.\d+)*$"},
        "with": {"type": "object"},
    },
    "propertyNames": {"enum": ["name", "id", "if", "env", "uses", "with"]},
}
_VALUES = {
    "type": "object",
    "required": ["description"],
    "properties": {"description": _TEXT, "default": _TEXT, "value": _TEXT},
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["name", "description", "runs"],
    "propertyNames": {"enum": ["name", "description", "branding", "inputs", "outputs", "runs"]},
    "properties": {
        "inputs": {"type": "object", "additionalProperties": _VALUES},
        "outputs": {
            "type": "object",
            "additionalProperties": {**_VALUES, "required": ["description", "value"]},
        },
        "runs": {
            "type": "object",
            "required": ["using", "steps"],
            "properties": {
                "using": {"const": "composite"},
                "steps": {"type": "array", "items": {"oneOf": [_RUN, _USES]}},
            },
        },
    },
}


def test_the_metadata_has_the_form_that_github_asks_for():
    jsonschema.validate(ACTION, SCHEMA)


def test_no_script_holds_an_expression():
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")


def test_every_expression_names_what_there_is():
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    ids = {step["id"] for step in STEPS.values() if "id" in step}
    assert {name for name, _ in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", text)} <= ids
    written = set(re.findall(r"([\w-]+)(?:=|<<)", STEPS["Audit"]["run"]))
    read = {name for _, name in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", text)}
    assert read <= written


def _audit(folder: Path, code: int = 0, **inputs: str) -> tuple[int, list[str], str]:
    """Run the audit step with a python that writes down its arguments, one a line."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "python").write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "pathlib.Path('arguments').write_text('\\n'.join(sys.argv[1:]))\n"
        "written = [each for each in sys.argv if each.startswith('sarif:')]\n"
        "if 'broken' not in sys.argv: pathlib.Path(written[0][6:]).write_text('{}')\n"
        f"sys.exit({code})\n"
    )
    (tools / "python").chmod(0o755)
    step = STEPS["Audit"]
    given = {name: spec["default"] for name, spec in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step["env"].items()
    }
    outputs = folder / "outputs"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(outputs), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (folder / "arguments").read_text().splitlines(), outputs.read_text()


def test_paths_and_arguments_are_split_at_spaces_and_line_breaks(tmp_path):
    code, arguments, outputs = _audit(
        tmp_path, paths="src/a.py\n  src/b.py::Deep\n", args="--select SCL1"
    )
    assert code == 0
    assert arguments == [
        "-m", "scaleaudit", "check", "--format", "github", "--output", "sarif:scaleaudit.sarif",
        "--select", "SCL1", "--", "src/a.py", "src/b.py::Deep",
    ]  # fmt: skip
    assert "exit-code=0\n" in outputs
    assert "\nscaleaudit.sarif\n" in outputs


@pytest.mark.parametrize("text", ["$(touch pwned)", "`touch pwned`", "; touch pwned", "*", "-x"])
def test_nothing_of_an_input_is_run_or_expanded(tmp_path, text):
    _, arguments, _ = _audit(tmp_path, paths=text)
    assert not (tmp_path / "pwned").exists()
    assert arguments[arguments.index("--") + 1 :] == text.split()


def test_findings_fail_the_step_after_the_report_is_told_of(tmp_path):
    code, _, outputs = _audit(tmp_path, code=1)
    assert code == 1
    assert "exit-code=1\n" in outputs
    assert "scaleaudit.sarif" in outputs


def test_a_report_that_was_not_written_is_not_uploaded(tmp_path):
    (tmp_path / "scaleaudit.sarif").write_text("of another run")
    code, _, outputs = _audit(tmp_path, code=2, args="broken")
    assert code == 2
    assert "sarif-file" not in outputs
    assert "steps.audit.outputs.sarif-file != ''" in STEPS["Upload to code scanning"]["if"]
