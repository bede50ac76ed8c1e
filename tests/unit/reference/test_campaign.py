"""Which runs a table asks for, and which a path stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scaleaudit.domain.reproduction import CampaignRequest, EvaluationRequest
from scaleaudit.domain.training import Encoding, Text
from scaleaudit.reference.campaign import campaign, runs_in
from scaleaudit.reference.config import CONDITIONS
from scaleaudit.reference.recipes import RECIPES


def asked(out: Path, **changes: object) -> CampaignRequest:
    evaluation = EvaluationRequest(device="cpu", cache=str(out / "cache"))
    return replace(CampaignRequest("tiny", 2, str(out), Text(), evaluation), **changes)


def test_every_condition_has_a_run_with_a_seed_before_any_has_one_with_the_next(tmp_path):
    runs = [*campaign(asked(tmp_path), ("terminal_raw", "norm_between"))]
    assert [(run.training.plan.condition, run.training.plan.seed) for run in runs] == [
        ("terminal_raw", 0),
        ("norm_between", 0),
        ("terminal_raw", 1),
        ("norm_between", 1),
    ]
    assert len({run.place for run in runs}) == 4
    assert all(run.place == run.training.out for run in runs)


@pytest.mark.parametrize("size", RECIPES)
def test_a_run_is_trained_as_its_size_is(tmp_path, size):
    (run,) = campaign(asked(tmp_path, size=size, seeds=1), ("per_loop_raw",))
    plan, recipe = run.training.plan, RECIPES[size]
    assert (plan.lr, plan.batch, plan.stride, plan.encoding, plan.weight_decay, plan.clip) == (
        recipe.lr,
        recipe.batch,
        recipe.stride,
        recipe.encoding,
        recipe.weight_decay,
        recipe.clip,
    )
    assert (run.training.steps, plan.turns, run.training.device) == (None, 4, "cpu")


def test_what_is_asked_otherwise_holds_for_every_run(tmp_path):
    changed = asked(
        tmp_path, steps=7, lr=0.5, batch=4, accumulate=2, text=Text(dataset="x"), threads=3
    )
    for run in campaign(changed, tuple(CONDITIONS)):
        plan = run.training.plan
        assert (run.training.steps, plan.lr, plan.batch, plan.accumulate) == (7, 0.5, 4, 2)
        assert (plan.text, plan.encoding, run.threads) == (Text(dataset="x"), Encoding.BYTES, 3)


def test_a_run_that_was_begun_goes_on(tmp_path):
    (tmp_path / "terminal_raw-1").mkdir()
    (tmp_path / "terminal_raw-1" / "config.json").touch()
    runs = [*campaign(asked(tmp_path), ("terminal_raw",))]
    assert [run.training.resume for run in runs] == [False, True]


def test_a_path_stands_for_a_checkpoint_a_run_or_a_folder_of_runs(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint.safetensors").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "overflowed").mkdir()
    for name in ("config.json", "traces.jsonl"):
        (tmp_path / "overflowed" / name).touch()
    (tmp_path / "notes.txt").touch()
    assert runs_in(tmp_path) == [tmp_path / "a", tmp_path / "b", tmp_path / "overflowed"]
    assert runs_in(tmp_path / "a") == [tmp_path / "a"]
    file = tmp_path / "a" / "checkpoint.safetensors"
    assert runs_in(file) == [file]
    assert runs_in(tmp_path / "empty") == []
