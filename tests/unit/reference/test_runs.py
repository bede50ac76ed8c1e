"""Folders of trainings, what is refused, and what else a training can be asked for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from small_trainings import PLAN, install, lines_of, request_in
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scaleaudit import training
from scaleaudit.domain.training import Ending, Precision, Text
from scaleaudit.errors import ConfigError, WeightsError
from scaleaudit.reference import board
from scaleaudit.reference.checkpoints import load_checkpoint
from scaleaudit.reference.runs import Card, Folder, differences, model_of
from scaleaudit.reference.training import Watch, train


@pytest.fixture
def folder(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    install(monkeypatch, tmp_path)
    return tmp_path


def test_a_folder_says_what_was_trained_in_it(folder):
    there = Folder(folder / "run")
    assert there.card() is None
    card = Card(PLAN, model_of(PLAN), "a text", "f")
    there.begin(card)
    assert there.card() == card


def test_a_folder_with_another_run_is_refused(folder):
    there = Folder(folder / "run")
    with pytest.raises(ConfigError, match="there is no run"):
        there.check(PLAN, resume=True)
    there.begin(Card(PLAN, model_of(PLAN), "a text", "f"))
    with pytest.raises(ConfigError, match="holds a run already: per-loop-penalty at size small"):
        there.check(PLAN, resume=False)
    other = replace(PLAN, lr=2.0, text=Text(dataset="wiki"))
    with pytest.raises(
        ConfigError, match=r"--lr is 0.01 there and 2.0 here; --dataset is not given"
    ):
        there.check(other, resume=True)
    there.check(PLAN, resume=True)


def test_a_checkpoint_without_its_state_is_not_overwritten(folder):
    train(request_in(folder, steps=2))
    (folder / "run" / "state.safetensors").unlink()
    before = (folder / "run" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"state\.safetensors is not there"):
        train(request_in(folder, steps=4, resume=True))
    assert (folder / "run" / "checkpoint.safetensors").read_bytes() == before


def test_what_is_in_the_way_of_the_folder_or_of_tensorboard_is_named(folder):
    (folder / "taken").write_text("")
    with pytest.raises(ConfigError, match="taken/run cannot be written: a part of this path"):
        train(request_in(folder, "taken/run", steps=1))
    (folder / "run").mkdir()
    (folder / "run" / "tensorboard").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write into .*tensorboard: File exists"):
        train(request_in(folder, steps=1, tensorboard=True))
    assert not (folder / "run" / "config.json").exists()  # no run was begun


def test_a_folder_says_where_its_run_was_to_end(folder):
    train(request_in(folder, steps=2, save_every=7))
    card = Folder(folder / "run").card()
    assert (card.steps, card.save_every) == (2, 7)


def test_differences_are_told_by_their_flags():
    other = replace(PLAN, precision=Precision.BFLOAT16, weight_decay=0.5, text=Text(packages=True))
    assert differences(PLAN, other) == (
        "--weight-decay is 0.01 there and 0.5 here; --dtype is not given there and bfloat16 here; "
        "--installed-packages is False there and True here"
    )


def test_a_damaged_folder_is_told_and_left(folder):
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="does not say what was trained"):
        train(request_in(folder))
    assert [each.name for each in (folder / "run").iterdir()] == ["config.json"]


def test_a_text_that_has_changed_is_told(folder):
    train(request_in(folder, steps=2))
    (folder / "lib" / "more.py").write_text("more = 1\n")
    with pytest.raises(ConfigError, match="another text: a text, which has changed since"):
        train(request_in(folder, resume=True))


def test_a_state_of_another_training_is_told(folder):
    train(request_in(folder, steps=2))
    state = folder / "run" / "state.safetensors"
    state.write_bytes((folder / "run" / "checkpoint.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="not what a training like this one left"):
        train(request_in(folder, resume=True))


def test_a_batch_that_cannot_be_divided_is_refused(folder):
    with pytest.raises(ConfigError, match="8 sequences cannot be divided into 3 equal parts"):
        train(request_in(folder, accumulate=3))
    with pytest.raises(ConfigError, match="--fsdp divides weights among processes"):
        train(request_in(folder, fsdp=True))


def test_seeds_draw_other_weights_and_batches(folder):
    for seed in (0, 1):
        train(request_in(folder, str(seed), seed=seed, steps=1))
    assert lines_of(folder, "0")[0]["losses"] != lines_of(folder, "1")[0]["losses"]


def test_products_in_bfloat16_leave_weights_and_lengths_in_float32(folder):
    train(request_in(folder, "narrow", precision=Precision.BFLOAT16, steps=4))
    train(request_in(folder, "wide", precision=Precision.FLOAT32, steps=4))
    narrow, wide = (lines_of(folder, name)[0]["losses"][0] for name in ("narrow", "wide"))
    assert narrow != wide
    assert narrow == pytest.approx(wide, rel=0.05)
    model = load_checkpoint(folder / "narrow" / "checkpoint.safetensors").model
    assert {each.dtype for each in model.parameters()} == {torch.float32}


def test_tensorboard_shows_loss_and_lengths_and_forgets_what_was_lost(folder):
    def lost(at):
        if at.step == 8:
            raise KeyboardInterrupt

    asked = {"tensorboard": True, "save_every": 6}
    with pytest.raises(KeyboardInterrupt):
        train(request_in(folder, **asked), Watch(progress=lost))
    train(request_in(folder, **asked, resume=True))
    events = EventAccumulator(str(folder / "run" / "tensorboard"))
    events.Reload()
    assert [each.step for each in events.Scalars("loss")] == [1, 4, 8, 12]
    told = [line for line in lines_of(folder) if "loss" in line]
    lengths = [each.value for each in events.Scalars("length/mean at turn 3")]
    assert lengths == pytest.approx([line["norms"][-1][0] for line in told])
    assert [each.step for each in events.Scalars("held out/loss at turn 1")] == [6, 12]


def test_where_tensorboard_is_missing_that_is_said(folder, monkeypatch):
    said = []
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(board, "_PACKAGE", "no_such_package")
    train(request_in(folder, tensorboard=None, steps=1), Watch(say=said.append))
    assert "tensorboard is not installed, so nothing is written for it" in said
    with pytest.raises(ConfigError, match="needs the package tensorboard"):
        train(request_in(folder, "other", tensorboard=True, steps=1))


@pytest.fixture
def heard() -> Iterator[None]:
    """Hear signals that whatever started the tests (`nohup`, `&`) ignores."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, signal.default_int_handler)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step_and_saves(number, folder, monkeypatch, capsys):
    def shown(self, at):
        if at.step == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(training._Shown, "progress", shown)
    before = signal.getsignal(number)
    assert training.run(request_in(folder)) == 128 + number
    assert signal.getsignal(number) is before
    out, err = capsys.readouterr()
    assert "3 steps" in out
    assert "--resume goes on" in out
    assert "stopping after this step" in err
    assert load_checkpoint(folder / "run" / "checkpoint.safetensors").step == 3


@pytest.mark.usefixtures("heard")
def test_a_signal_that_comes_again_ends_it_at_once(folder, monkeypatch, capsys):
    def shown(self, at):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same Ctrl-C, by way of torchrun
        monkeypatch.setattr(training, "_TWICE", -1.0)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(training._Shown, "progress", shown)
    with pytest.raises(KeyboardInterrupt):
        training.run(request_in(folder))
    assert not (folder / "run" / "checkpoint.safetensors").exists()


def test_progress_tells_pace_and_what_is_left(folder, monkeypatch, capsys):
    monkeypatch.setattr(training, "_LINES", 0.0)
    assert training.run(request_in(folder, steps=4)) == 0
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[0] == "reading the text"
    assert lines[-1].startswith("4 of 4 done: loss ")
    assert lines[-1].endswith(" tokens/s, 0:00 left")
    assert out.startswith("per-loop-penalty at size small, seed 3: 4 steps, loss ")


def test_little_time_is_what_is_left(folder):
    seen = []
    outcome = train(request_in(folder, minutes=1e-3), Watch(progress=seen.append))
    assert outcome.ending in (Ending.TIME, Ending.DONE)
    assert seen[0].left <= 0.06


def test_a_text_can_be_prepared_alone(folder, capsys):
    assert training.run(request_in(folder, prepare=True, quiet=True)) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("a text: ")
    assert second == f"kept in {folder / 'cache'}"
    assert not (folder / "run").exists()
    said = []
    train(request_in(folder, steps=1), Watch(say=said.append))
    assert said == ["reading the text"]  # and nothing is encoded
