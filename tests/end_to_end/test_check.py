from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from running import ROOT, environment, scaleaudit, signals_heard
from user_files import BLIND, MODEL, SAFE

from scaleaudit.report.embedding import results_in

SCHEMA = json.loads(files("scaleaudit.report").joinpath("schema.json").read_text())
EXAMPLES = sorted(path.relative_to(ROOT) for path in ROOT.glob("examples/*.py"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "blind.py").write_text(BLIND)
    (tmp_path / "safe.py").write_text(SAFE)
    return tmp_path


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One run on a blind model and a safe one: what it said in full, on one line each, and left."""
    made = tmp_path_factory.mktemp("both")
    (made / "blind.py").write_text(BLIND)
    (made / "safe.py").write_text(SAFE + "\nprint('a word from the model')\n")
    files = ("blind.py", "safe.py", "--format", "concise", "--output", "full:full.txt")
    run = scaleaudit("check", *files, cwd=made)
    return run, (made / "full.txt").read_text()


def test_a_blind_model_fails_and_its_proof_names_the_lines(both):
    run, full = both
    assert (run.code, run.err) == (1, "")
    add = BLIND.splitlines().index("            h = h + self.mlp(self.norm(h))") + 1
    norm = BLIND.splitlines().index("        return self.head(self.final(h))") + 1
    assert "error[SCL101]" in full
    assert f"--> blind.py:{add}:" in full
    assert f"blind.py:{norm}:" in full
    assert "blind.py::Looped: fail" in full
    assert full.endswith("\n")


def test_a_safe_model_passes_and_the_reason_is_told(both):
    _, full = both
    assert "safe.py::Looped: pass" in full
    assert "safe: the loss sees the length through" in full


def test_json_fits_its_schema_and_nothing_else_is_on_stdout(folder):
    noisy = BLIND + "\nprint('noise')\n"
    (folder / "noisy.py").write_text(noisy)
    run = scaleaudit("check", "noisy.py", "--format", "json", cwd=folder)
    document = json.loads(run.out)
    Draft202012Validator(SCHEMA).validate(document)
    (found,) = document["targets"]
    assert (found["path"], found["name"], found["verdict"]) == ("noisy.py", "Looped", "fail")
    (loop,) = found["loops"]
    (state,) = loop["states"]
    assert (loop["turns"], state["transition"], state["visibility"]) == (4, "carried", "invariant")
    assert "SCL101" in [finding["code"] for finding in found["findings"]]


def test_output_of_the_model_is_shown_on_request(folder, both):
    (folder / "noisy.py").write_text(SAFE + "\nprint('a word from the model')\n")
    quiet, full = both
    loud = scaleaudit("check", "noisy.py", "--show-output", cwd=folder)
    assert "a word from the model" not in quiet.out + quiet.err + full
    assert (loud.code, loud.err) == (0, "")
    assert "| a word from the model" in loud.out


def test_a_folder_is_walked_and_files_without_a_model_are_listed(folder):
    (folder / "setup.py").write_text("raise SystemExit('this must not run')\n")
    (folder / "undeclared.py").write_text(MODEL)
    (folder / "errors.py").write_text("class OutOfData(Exception):\n    pass\n")
    (folder / "broken.py").write_text("class Net(nn.Module:\n")
    run = scaleaudit("check", ".", "--output", "json:report.json", "--jobs", "2", cwd=folder)
    assert run.code == 1
    assert "setup.py: skipped: declares no target" in run.out
    assert "broken.py: skipped: not valid Python (line 1)" in run.out
    document = json.loads((folder / "report.json").read_text())
    Draft202012Validator(SCHEMA).validate(document)
    assert [(t["path"], t["verdict"]) for t in document["targets"]] == [
        ("blind.py", "fail"),
        ("safe.py", "pass"),
        ("undeclared.py", "fail"),
    ]
    assert {"setup.py", "errors.py", "broken.py"} == {s["path"] for s in document["skipped"]}


def test_a_hook_may_hand_over_files_without_a_model(folder):
    (folder / "setup.py").write_text("x = 1\n")
    assert scaleaudit("check", "setup.py", "--skip-non-models", cwd=folder).code == 0


def test_several_targets_of_a_file_are_audited_one_by_one_or_alone(folder):
    two = BLIND.replace("def scaleaudit_target()", "def scaleaudit_target_first()")
    two += "\n\ndef scaleaudit_target_second():\n    return scaleaudit_target_first()\n"
    (folder / "two.py").write_text(two)
    both = json.loads(scaleaudit("check", "two.py", "--format", "json", cwd=folder).out)
    one = json.loads(scaleaudit("check", "two.py::second", "--format", "json", cwd=folder).out)
    assert [target["name"] for target in both["targets"]] == ["first", "second"]
    assert [target["name"] for target in one["targets"]] == ["second"]


def test_rules_can_be_ignored_by_flag_and_by_settings(folder):
    assert scaleaudit("check", "blind.py", "--ignore", "SCL1", cwd=folder).code == 0
    (folder / "pyproject.toml").write_text('[tool.scaleaudit]\nignore = ["SCL101"]\n')
    assert "SCL101" not in scaleaudit("check", "blind.py", cwd=folder).out


def test_the_concise_format_has_one_line_a_finding(both):
    first, *_, last = both[0].out.splitlines()
    assert first.startswith("blind.py:")
    assert " error SCL101 " in first
    assert last.startswith("2 targets (1 fail, 1 pass)")


def test_ctrl_c_stops_the_run_and_every_process_of_it(folder):
    pid_file = folder / "pid"
    (folder / "hang.py").write_text(
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    with signals_heard():
        process = subprocess.Popen(
            [sys.executable, "-m", "scaleaudit", "check", "hang.py"],
            cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    pid = int(_wait_for_text(pid_file))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not _alive(pid)


def _wait_for_text(file: Path) -> str:
    for _ in range(600):
        if file.exists() and file.read_text():
            return file.read_text()
        time.sleep(0.1)
    raise TimeoutError(file)


def _alive(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return False
        except OSError:
            return False
        time.sleep(0.05)
    return True


def test_torch_is_never_loaded_in_the_process_of_the_command_line(folder):
    script = (
        "import sys\nfrom scaleaudit.cli import main\n"
        "try:\n    main(['check', 'safe.py'])\n"
        "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == "0 False\n"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Audit all examples; returns the folder with the reports."""
    folder = tmp_path_factory.mktemp("examples")
    outputs = ("--output", f"json:{folder}/report.json", "--output", f"html:{folder}/report.html")
    run = scaleaudit("check", "examples", *outputs)
    assert run.code == 1, run.out + run.err
    return folder


@pytest.fixture(scope="module")
def examples(swept):
    document = json.loads((swept / "report.json").read_text())
    return {target["path"]: target for target in document["targets"]}


def test_a_page_of_all_examples_holds_their_results(swept, examples):
    page = (swept / "report.html").read_text(encoding="utf-8")
    held = json.loads(results_in(page))
    assert held == json.loads((swept / "report.json").read_text())
    assert held["run"]["command"][:3] == ["scaleaudit", "check", "examples"]
    assert page.count('<section class="target"') == len(examples)
    assert page.count('role="group"') + page.count('role="img"') >= len(examples) - 1  # pictures


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_every_example_is_found_as_its_docstring_says(examples, path):
    found = examples[path.as_posix()]
    codes = {finding["code"] for finding in found["findings"]}
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text()))
    if "The audit finds SCL101" in docstring:
        assert (found["verdict"], "SCL101" in codes) == ("fail", True)
    elif "The audit warns with SCL205" in docstring:
        assert (found["verdict"], codes) == ("warn", {"SCL205"})
    else:
        assert (found["verdict"], codes) == ("pass", set())
