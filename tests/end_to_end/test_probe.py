"""`scaleaudit probe` on the smallest of models, from the command line to its verdict."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from running import scaleaudit

TINY = Path(__file__).parents[1] / "unit" / "probe" / "tiny_targets.py"
SCHEMA = json.loads(files("scaleaudit.report").joinpath("schema.json").read_text())


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """One run over a blind and a controlled model, as JSON, with the folder where it left traces."""
    folder = tmp_path_factory.mktemp("probe")
    text = TINY.read_text().replace("def scaleaudit_target_", "def left_out_")
    for name in ("free", "held", "lossless"):
        text = text.replace(f"def left_out_{name}", f"def scaleaudit_target_{name}")
    (folder / "tiny.py").write_text(text)
    line = "probe tiny.py --device cpu --steps 40 --seeds 2 --lr 0.1 --save traces --format json"
    done = scaleaudit(*line.split(), cwd=folder)
    return done, folder


def test_a_blind_model_is_confirmed_and_a_controlled_one_refuted(probed):
    done, _ = probed
    report = json.loads(done.out)
    Draft202012Validator(SCHEMA).validate(report)
    found = {target["name"]: target for target in report["targets"]}
    assert {name: target["probe"]["verdict"] for name, target in found.items()} == {
        "free": "confirmed",
        "held": "refuted",
        "lossless": "inconclusive",
    }
    verdicts = {name: target["verdict"] for name, target in found.items()}
    assert verdicts == {"free": "fail", "held": "pass", "lossless": "unknown"}
    assert "no loss" in found["lossless"]["probe"]["reason"]
    assert [each["code"] for each in found["free"]["findings"]] == ["SCL401"]
    assert not found["held"]["findings"]
    assert done.code == 1


def test_traces_are_kept_as_json_lines(probed):
    _, folder = probed
    lines = (folder / "traces" / "tiny-free.jsonl").read_text().splitlines()
    outcome, *runs = map(json.loads, lines)
    assert (outcome["kind"], outcome["verdict"]) == ("outcome", "confirmed")
    assert {len(run["losses"]) for run in runs} == {40}
    assert len(runs) >= 4
