"""The worked fix is what its page says: the audit before and after, the diff, and the training."""

from __future__ import annotations

import ast
import difflib
import importlib
import re
from pathlib import Path

import pytest
import torch

import scaleaudit

FOLDER = Path(__file__).parents[2] / "examples/worked_fix"
FIXED = ("model_raw", "model_normed")
NAMES = ("model_blind", *FIXED)
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def worked():
    """Import the modules of the example as its training does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module


@pytest.fixture(scope="module")
def reports(worked):
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(FOLDER)
        for name in NAMES:
            target = worked(name).scaleaudit_target()
            given = {key: target[key] for key in ("loss", "loss_args")}
            found[name] = scaleaudit.audit(target["model"], *target["args"], **given)
    return found


def body_of(name: str) -> list[str]:
    """The lines of a file after its docstring."""
    text = (FOLDER / f"{name}.py").read_text()
    return text.splitlines()[ast.parse(text).body[0].end_lineno :]


def changes(name: str) -> list[str]:
    """The lines by which a file differs from the blind one, as a diff marks them."""
    made = difflib.ndiff(body_of("model_blind"), body_of(name))
    return [line[0] + line[2:] for line in made if line[0] in "+-"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_the_audit_says(reports, name):
    (shown,) = [text for _, text in BLOCKS if text.startswith(f"$ scaleaudit check {name}.py")]
    said = scaleaudit.to_text(reports[name]).splitlines()
    lines = [line for line in shown.splitlines()[1:] if line != "..."]
    assert len(lines) >= 3
    assert [line for line in lines if line not in said] == []


@pytest.mark.parametrize("name", FIXED)
def test_the_page_shows_the_difference_between_the_models(name):
    (shown,) = [text for kind, text in BLOCKS if kind == "diff" and f"+++ {name}.py" in text]
    assert shown.splitlines()[2:] == changes(name)


@pytest.mark.parametrize("name", FIXED)
def test_the_fix_is_one_that_the_audit_suggests_and_it_passes(reports, name):
    (blind,), (fixed,) = reports["model_blind"].targets, reports[name].targets
    assert (blind.verdict.value, fixed.verdict.value) == ("fail", "pass")
    suggested = [fix.diff.splitlines() for found in blind.findings for fix in found.fixes]
    added = [line for line in changes(name) if line[0] == "+"]
    assert any(set(added) <= set(lines) for lines in suggested)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::scaleaudit.ScaleWarning")
def test_trained_both_ways_the_blind_state_is_many_times_as_long(
    worked, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    worked("train").main(steps=61)
    printed = capsys.readouterr().out
    ended = {
        name: float(
            [line for line in part.splitlines() if line.startswith("  step")][-1].split()[-1]
        )
        for name, part in zip(
            ("blind", "raw", "normed"),
            re.split("^raw$|^normed$", printed, flags=re.MULTILINE),
            strict=True,
        )
    }
    assert ended["blind"] > 4 * ended["raw"]
    assert ended["blind"] > 10 * ended["normed"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.jsonl" for name in ended}
