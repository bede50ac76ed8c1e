"""`train`: what its flags ask for, and that the command line only hands it on."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from scaleaudit import cli, ranks
from scaleaudit.cli import train as command
from scaleaudit.domain.training import Encoding, Precision, Text, TrainingRequest
from scaleaudit.reference.config import CONDITIONS, SIZES
from scaleaudit.reference.recipes import RECIPES, plan_by_recipe
from scaleaudit.reference.runs import Card, Folder, model_of
from scaleaudit.wire import read_json


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Return what would be handed on for arguments."""
    monkeypatch.chdir(tmp_path)

    def ask(*arguments: str) -> TrainingRequest:
        found: list[TrainingRequest] = []
        monkeypatch.setattr(command, "become", lambda request: found.append(request) or 0)
        with pytest.raises(SystemExit) as ended:
            cli.main(["train", *arguments])
        assert ended.value.code == 0
        return found[0]

    return ask


def begun(out, **changes):
    """Write down a run of which flags need say nothing any more."""
    plan = replace(plan_by_recipe("norm_between", "tiny"), **changes)
    Folder(out).begin(Card(plan, model_of(plan), "a text", "f"))
    return plan


def test_every_size_has_a_recipe():
    assert RECIPES.keys() == SIZES.keys()
    assert {recipe.lr for name, recipe in RECIPES.items() if name != "tiny"} == {3e-4}
    assert all((each.weight_decay, each.clip) == (0.01, 1.0) for each in RECIPES.values())


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_may_be_written_with_hyphens(name, asked):
    for written in (name, name.replace("_", "-"), name.upper()):
        assert asked("--condition", written, "--size", "44m", "--out", "r") == TrainingRequest(
            plan_by_recipe(name, "44m"), "r"
        )


def test_flags_override_the_recipe(asked):
    line = (
        "--condition per-loop-raw --size tiny --out r --seed 4 --steps 9 --minutes 2.5 --lr 0.5 "
        "--weight-decay 0 --clip 2 --batch 6 --accumulate 3 --turns 2 --stride 7 --save-every 3 "
        "--log-every 2 --encoding bytes --dtype bfloat16 --installed-packages --dataset wiki "
        "--dataset-config raw --text-column words --device cpu --compile --fsdp --no-tensorboard "
        "--cache c -q"
    )
    plan = replace(
        plan_by_recipe("per_loop_raw", "tiny", seed=4),
        lr=0.5,
        weight_decay=0.0,
        clip=2.0,
        batch=6,
        accumulate=3,
        turns=2,
        stride=7,
        every=2,
        encoding=Encoding.BYTES,
        precision=Precision.BFLOAT16,
        text=Text(packages=True, dataset="wiki", config="raw", column="words"),
    )
    assert asked(*line.split()) == TrainingRequest(
        plan=plan,
        out="r",
        steps=9,
        minutes=2.5,
        save_every=3,
        device="cpu",
        compile=True,
        fsdp=True,
        cache="c",
        tensorboard=False,
        quiet=True,
    )


def test_a_run_that_goes_on_is_what_it_was(asked, tmp_path):
    text = Text(dataset="wiki")
    plan = begun(tmp_path / "r", lr=0.25, text=text)
    assert asked("--out", "r", "--resume", "--steps", "900") == TrainingRequest(
        plan, "r", steps=900, resume=True
    )
    # What is said again the same way is no contradiction.
    again = asked("--out", "r", "--resume", "--condition", "norm-between", "--dataset", "wiki")
    assert again.plan == plan


def test_a_run_goes_on_to_where_it_was_to_end_unless_that_is_said_anew(asked, tmp_path):
    plan = plan_by_recipe("norm_between", "tiny")
    Folder(tmp_path / "r").begin(Card(plan, model_of(plan), "a text", "f", 40, 7))
    again = asked("--out", "r", "--resume")
    assert (again.steps, again.save_every) == (40, 7)
    further = asked("--out", "r", "--resume", "--steps", "60", "--save-every", "9")
    assert (further.steps, further.save_every) == (60, 9)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_of_several_processes_the_first_is_let_say_what_is_wrong(
    rank, monkeypatch, tmp_path, capsys
):
    """Whoever is there after that alone knows of it, and says it."""
    waited = []
    monkeypatch.setattr(ranks.time, "sleep", waited.append)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--out", "r"])
    assert ended.value.code == 2
    assert "must be given" in capsys.readouterr().err
    assert bool(waited) == (rank == "1")


def test_it_becomes_a_training_that_loads_nothing_from_the_working_directory(monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(command.os, "execv", lambda *arguments: taken.append(arguments))
    request = TrainingRequest(plan_by_recipe("terminal_raw", "129m", seed=2), str(tmp_path))
    command.become(request)
    ((program, arguments),) = taken
    assert program == sys.executable
    assert arguments[1:4] == ["-P", "-m", "scaleaudit.training"]
    assert read_json(arguments[4], TrainingRequest) == request
