"""Runs and checkpoints evaluated on held-out text, and what is kept of that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scaleaudit.domain.reproduction import EvaluationRequest
from scaleaudit.domain.training import Encoding, Text, TrainingPlan
from scaleaudit.errors import WeightsError
from scaleaudit.reference import evaluated as module
from scaleaudit.reference.checkpoints import Origin, save_checkpoint
from scaleaudit.reference.config import CONDITIONS, ReferenceConfig, Size
from scaleaudit.reference.evaluated import EVALUATION, evaluated
from scaleaudit.reference.evaluation import evaluate
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.runs import Card, Folder
from scaleaudit.reference.tokens import Tokens
from scaleaudit.reference.training import held_out_of

SMALL = Size(vocabulary=256, dim=8, heads=1, layers=1, hidden=8, context=8)
CONFIG = ReferenceConfig(SMALL, CONDITIONS["per_loop_rmsnorm"], turns=2)
PLAN = TrainingPlan(
    "per_loop_rmsnorm", "tiny", 3, 2, 0.01, 4, 1, 4, 0.01, 1.0, 5, Encoding.BYTES, text=Text()
)
ASKED = EvaluationRequest(sequences=6, device="cpu")
ORIGIN = Origin(step=20, seed=3, seen=640)


@pytest.fixture(autouse=True)
def text(monkeypatch):
    """A text that takes no time to prepare."""
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(256, (500,), generator=draw, dtype=torch.uint8)
    found = Tokens(tokens, tokens[:200], "a text", "bytes", "text-1")
    monkeypatch.setattr(module, "prepared", lambda *_: found)
    torch.set_num_threads(1)
    return found


@pytest.fixture
def place(tmp_path) -> Path:
    """The folder of a run."""
    torch.manual_seed(0)
    folder = Folder(tmp_path / "run")
    folder.begin(Card(PLAN, CONFIG, "a text", "text-1"))
    save_checkpoint(folder.checkpoint, LoopedDecoder(CONFIG), ORIGIN)
    return folder.path


@pytest.fixture
def never(monkeypatch):
    """Let nothing be evaluated from now on."""

    def forbid():
        def fail(*_):
            raise AssertionError("evaluated once more")

        monkeypatch.setattr(module, "evaluate", fail)

    return forbid


def test_a_run_is_what_its_checkpoint_and_folder_say(place, text):
    run = evaluated(place, ASKED)
    assert (run.condition, run.per_loop, run.blind) == ("per_loop_rmsnorm", True, True)
    assert (run.seed, run.step, run.seen) == (3, 20, 640)
    recipe = dict(run.recipe)
    assert recipe["trained"] == "20 steps of 4 x 8 tokens, 640 tokens in all"
    assert "learning rate 0.01" in recipe["optimiser"]
    assert recipe["evaluated"] == "on 6 sequences of 8 tokens that were held out, in float32"


def test_its_numbers_are_those_of_the_model_on_the_text_that_was_held_out(place, text):
    torch.manual_seed(0)
    expected = evaluate(LoopedDecoder(CONFIG), held_out_of(text, 8, 6))
    assert evaluated(place, ASKED).evaluation == expected


def test_a_checkpoint_alone_gives_the_same_numbers(place, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(Folder(place).checkpoint.read_bytes())
    run = evaluated(alone, ASKED, keep=False)
    assert run.evaluation == evaluated(place, ASKED).evaluation
    assert dict(run.recipe)["trained"] == "20 steps, 640 tokens in all"


def test_what_is_kept_is_taken(place, never):
    first = evaluated(place, ASKED, keep=True)
    never()
    assert evaluated(place, replace(ASKED, device="auto", cache="elsewhere")) == first


def test_nothing_is_kept_unless_that_is_asked_for(place):
    evaluated(place, ASKED)
    assert not (place / EVALUATION).exists()


@pytest.mark.parametrize("change", ["weights", "sequences", "target", "broken", "cut short"])
def test_what_is_kept_of_something_else_is_measured_anew(place, never, change):
    evaluated(place, ASKED, keep=True)
    file, asked = place / EVALUATION, ASKED
    match change:
        case "weights":
            save_checkpoint(Folder(place).checkpoint, LoopedDecoder(CONFIG), ORIGIN)
        case "sequences":
            asked = replace(ASKED, sequences=5)
        case "target":
            asked = replace(ASKED, target=1.5)
        case "broken":
            file.write_text(json.dumps({"of": json.loads(file.read_text())["of"]}))
        case "cut short":
            file.write_text(file.read_text()[:-30])
    never()
    with pytest.raises(AssertionError, match="once more"):
        evaluated(place, asked)


def test_a_model_that_was_trained_on_another_text_is_refused(place, monkeypatch, text):
    monkeypatch.setattr(module, "prepared", lambda *_: replace(text, fingerprint="text-2"))
    with pytest.raises(WeightsError, match="trained on another text than a text is here"):
        evaluated(place, ASKED)


def test_conditions_and_sizes_without_a_name_are_called_by_what_they_are(tmp_path):
    odd = replace(CONFIG, condition=replace(CONFIG.condition, penalty=0.5))
    save_checkpoint(tmp_path / "odd.safetensors", LoopedDecoder(odd), ORIGIN)
    run = evaluated(tmp_path / "odd.safetensors", ASKED)
    assert "penalty=0.5" in run.condition
    assert "dim=8" in run.size
    assert not run.blind
