"""The reference models trained, evaluated and put side by side by the command line, in brief.

Four conditions, one seed, thirty steps: enough for lengths to part, too little for perplexities to
mean much. All of it, as a user would run it, is marked slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from running import environment

from scaleaudit.domain.reproduction import EvaluationRequest, RunRequest
from scaleaudit.reference.attempt import attempt_run

CONDITIONS = ("terminal-rmsnorm", "per-loop-rmsnorm", "per-loop-raw", "norm-between")
STEPS, BATCH, SEQUENCES = 30, 4, 16


def reference(
    folder: Path, *options: str, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "scaleaudit",
            "reference",
            "--out",
            "runs",
            "--cache",
            "cache",
            *options,
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs" / "reproduction.json").read_text())
    return found


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """One run of the command, and the folder that it left."""
    folder = tmp_path_factory.mktemp("reference")
    names = ",".join(CONDITIONS)
    sizes = f"--seeds 1 --steps {STEPS} --batch {BATCH} --sequences {SEQUENCES}"
    return folder, reference(folder, *sizes.split(), "--conditions", names)


def test_blind_conditions_end_far_from_controlled_ones(brief):
    folder, done = brief
    assert done.returncode == 0, done.stderr
    every, pair = table(folder)["separation"]
    assert every["said"] == "Every blind length is at least 5 times every controlled one."
    assert (every["holds"], pair["holds"]) == (True, True)
    ends = {
        each["condition"]: each["depths"][3]["length"]["mean"]
        for each in table(folder)["conditions"]
    }
    blind = {ends.pop("terminal_rmsnorm"), ends["per_loop_rmsnorm"]}
    assert ends.pop("per_loop_rmsnorm") > 10 * ends["per_loop_raw"]
    assert len(ends) == 2
    assert min(blind) > 5 * max(ends.values())


def test_scale_is_free_where_it_is_blind_and_costs_where_it_is_seen(brief):
    far = {
        each["condition"]: each["runs"][0]["scaled"][-1] for each in table(brief[0])["conditions"]
    }
    assert far["terminal_rmsnorm"] < 4
    assert far["per_loop_rmsnorm"] < 4
    assert far["per_loop_raw"] > 1000


def test_every_run_learns_and_is_measured_at_every_depth(brief):
    for condition in table(brief[0])["conditions"]:
        (run,) = condition["runs"]
        assert [depth["turns"] for depth in run["depths"]] == [1, 2, 3, 4, 8, 16]
        assert (
            3 < run["depths"][3]["perplexity"] < 200
        )  # of 256 at the start, and far above that raw
        assert (run["step"], run["seen"], run["tokens"]) == (
            STEPS,
            STEPS * BATCH * 64,
            SEQUENCES * 64,
        )
        assert 1 <= run["early_exit"]["mean_turns"] <= 4


def test_the_table_is_printed_and_kept_as_markdown_and_drawn(brief):
    folder, done = brief
    assert done.stdout == (folder / "runs" / "reproduction.md").read_text()
    assert "| `per_loop_rmsnorm` | blind | thousands to tens of thousands |" in done.stdout
    assert (folder / "runs" / "reproduction.svg").read_text().startswith("<svg")
    assert done.stderr.count("perplexity") == len(CONDITIONS)


def test_what_was_kept_is_the_answer_to_the_same_question(brief, monkeypatch, tmp_path):
    folder, _ = brief
    monkeypatch.setattr("scaleaudit.reference.evaluated.evaluate", None)
    place = str(folder / "runs" / "norm_between-0")
    asked = RunRequest(place, "", EvaluationRequest(SEQUENCES, cache=str(folder / "cache")))
    text = msgspec.json.encode(asked).decode()
    answer = attempt_run(place, text, os.fspath(tmp_path / "said"), os.fspath(tmp_path / "stop"))
    (kept,) = (
        each["runs"][0]
        for each in table(folder)["conditions"]
        if each["condition"] == "norm_between"
    )
    assert answer.run is not None
    assert answer.run.evaluation.trained.lengths.mean == kept["depths"][3]["length"]["mean"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_conditions_part_in_all_seeds_within_a_quarter_of_an_hour(tmp_path):
    done = reference(tmp_path, "--size", "tiny", timeout=900)
    assert done.returncode == 0, done.stderr
    found = table(tmp_path)
    assert [claim["holds"] for claim in found["separation"]] == [True, True]
    assert [len(each["runs"]) for each in found["conditions"]] == [3] * 8
