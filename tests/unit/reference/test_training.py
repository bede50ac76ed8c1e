"""Trainings of reference models: they go on as if never ended, and leave what they went through."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_trainings import PLAN, install, lines_of, request_in
from torch.nn import functional as F

from scaleaudit import training
from scaleaudit.domain.training import Ending
from scaleaudit.reference.batches import Order, windows_of
from scaleaudit.reference.checkpoints import load_checkpoint, read_tensors
from scaleaudit.reference.model import LoopedDecoder
from scaleaudit.reference.objective import looped_loss
from scaleaudit.reference.overflow import overflow_in
from scaleaudit.reference.runs import Folder, model_of
from scaleaudit.reference.tokens import prepared
from scaleaudit.reference.training import Watch, held_out_of, train

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    install(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """One training of 12 steps that all others are held against."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        install(patch, folder)
        outcome = train(request_in(folder, save_every=3))
    return folder, outcome


def same_weights(folder, other):
    mine, theirs = (
        read_tensors(each / "run" / "checkpoint.safetensors")[0] for each in (folder, other)
    )
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def traces_of(folder):
    trace = json.loads((folder / "run" / "traces.jsonl").read_text())
    return {key: value for key, value in trace.items() if key != "seconds"}


def test_a_training_lowers_the_loss_and_leaves_all_its_files(uninterrupted):
    folder, outcome = uninterrupted
    assert (outcome.ending, outcome.step) == (Ending.DONE, 12)
    first, *_, last = (line for line in lines_of(folder) if "loss" in line)
    assert last["loss"] < first["loss"]
    assert {each.name for each in (folder / "run").iterdir()} == {
        "config.json", "checkpoint.safetensors", "state.safetensors", "metrics.jsonl", "traces.jsonl",
    }  # fmt: skip
    found = load_checkpoint(folder / "run" / "checkpoint.safetensors")
    assert found.config == found.model.config
    assert (found.step, found.origin.seed) == (12, 3)
    assert (found.origin.seen, found.origin.encoding) == (12 * 8 * 8, "bytes")


def test_lines_tell_every_loss_and_the_norms_after_every_turn(uninterrupted):
    folder, outcome = uninterrupted
    lines = lines_of(folder)
    told = [line for line in lines if "loss" in line]
    assert [line["step"] for line in told] == [1, 4, 8, 12]
    assert [len(line["losses"]) for line in told] == [1, 3, 4, 4]
    for line in told:
        assert line["loss"] == pytest.approx(sum(line["losses"]) / len(line["losses"]))
        assert len(line["norms"]) == 3
        assert all(0 < mean <= top and mean <= p95 <= top for mean, p95, top in line["norms"])
    held_out = [line for line in lines if "held_out" in line]
    assert [line["step"] for line in held_out] == [3, 6, 9, 12]
    assert tuple(held_out[-1]["held_out"]) == outcome.held_out
    assert outcome.norms == tuple(mean for mean, _, _ in told[-1]["norms"])


def test_the_first_loss_and_norms_are_those_of_the_model(uninterrupted, monkeypatch):
    folder, _ = uninterrupted
    install(monkeypatch, folder)
    windows = windows_of(text_in(folder).train, 8, PLAN.stride)
    batch = windows.take(Order(len(windows), PLAN.batch, PLAN.seed).numbers(0))
    torch.manual_seed(PLAN.seed)
    model = LoopedDecoder(model_of(PLAN))
    line = lines_of(folder)[0]
    with torch.no_grad():
        loss, states = looped_loss(model, *halves(batch)), model(batch[:, :-1]).states
    assert line["losses"] == [pytest.approx(float(loss), rel=1e-5)]
    for told, state in zip(line["norms"], states, strict=True):
        lengths = state.norm(dim=-1)
        expected = [lengths.mean(), lengths.quantile(0.95), lengths.max()]
        assert told == pytest.approx([float(each) for each in expected], rel=1e-5)


def halves(batch):
    return batch[:, :-1], batch[:, 1:]


def text_in(folder):
    return prepared(PLAN.text, PLAN.encoding, 256, folder / "cache")


def test_what_is_told_of_held_out_text_is_the_loss_of_the_checkpoint(uninterrupted, monkeypatch):
    folder, outcome = uninterrupted
    install(monkeypatch, folder)
    windows = held_out_of(text_in(folder), 8, 64)
    model = load_checkpoint(folder / "run" / "checkpoint.safetensors").model
    tokens, targets = halves(windows)
    with torch.no_grad():
        logits = model(tokens).logits
    losses = [float(F.cross_entropy(z.flatten(0, 1), targets.flatten())) for z in logits]
    assert outcome.held_out == pytest.approx(losses, rel=1e-5)


def test_traces_are_those_of_a_probe(uninterrupted):
    folder, _ = uninterrupted
    trace = traces_of(folder)
    told = [line for line in lines_of(folder) if "loss" in line]
    assert (trace["kind"], trace["target"]) == ("run", "per_loop_penalty_small")
    assert trace["losses"] == [loss for line in told for loss in line["losses"]]
    assert trace["measured"] == [0, 3, 7, 11]
    (state,) = trace["states"]
    assert (state["name"], state["loop"]) == ("h", "LoopedDecoder.forward")
    assert [[list(at.values()) for at in turns] for turns in state["norms"]] == [
        line["norms"] for line in told
    ]


@pytest.mark.parametrize("step", [1, 7, 9])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not(step, uninterrupted, folder):
    """Killed before a checkpoint, between two, and just before one: all but clocks is the same."""
    if step == 7:
        _kill_for_real(folder, step)
    else:
        with pytest.raises(_Killed):
            train(request_in(folder, save_every=3), Watch(progress=_kill_at(step)))
    left = max((line["step"] for line in lines_of(folder)), default=0)
    assert left in {1, 4, 6, 8}
    train(request_in(folder, save_every=3, resume=True))
    other, _ = uninterrupted
    assert lines_of(folder) == lines_of(other)
    assert same_weights(folder, other)
    assert traces_of(folder) == traces_of(other)


class _Killed(BaseException):
    """Ends a training as nothing that it expects does."""


def _kill_at(step):
    def progress(at):
        if at.step == step:
            raise _Killed

    return progress


def _kill_for_real(folder, step):
    command = [sys.executable, str(HERE / "small_trainings.py"), str(folder), "killed", str(step)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_a_line_that_was_cut_short_is_written_again(uninterrupted, folder):
    train(request_in(folder, save_every=3, steps=6))
    metrics = folder / "run" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + b'{"step":7,"lo')
    train(request_in(folder, save_every=3, resume=True))
    # A training that was to end at 6 steps has told of the last of them.
    assert [each for each in lines_of(folder) if each["step"] not in (6, 8)] == [
        each for each in lines_of(uninterrupted[0]) if each["step"] not in (6, 8)
    ]
    assert same_weights(folder, uninterrupted[0])


def test_one_that_is_asked_to_stop_saves_and_goes_on(uninterrupted, folder):
    calls = []
    stop = Watch(stopped=lambda: calls.append(1) or len(calls) == 5)
    stopped = train(request_in(folder, save_every=3), stop)
    assert (stopped.ending, stopped.step) == (Ending.STOPPED, 5)
    assert load_checkpoint(folder / "run" / "checkpoint.safetensors").step == 5
    assert train(request_in(folder, resume=True, save_every=3)).ending is Ending.DONE
    assert same_weights(folder, uninterrupted[0])
    assert lines_of(folder) == lines_of(uninterrupted[0])


def test_one_whose_time_is_up_saves(folder):
    outcome = train(request_in(folder, minutes=1e-9))
    assert (outcome.ending, outcome.step) == (Ending.TIME, 1)
    assert load_checkpoint(folder / "run" / "checkpoint.safetensors").step == 1


def test_one_that_is_done_has_nothing_left_to_do(uninterrupted, monkeypatch, capsys):
    folder, _ = uninterrupted
    install(monkeypatch, folder)
    before = lines_of(folder)
    assert training.run(request_in(folder, resume=True, quiet=True)) == 0
    assert "is done: its 12 steps were made before" in capsys.readouterr().out
    assert lines_of(folder) == before


def test_a_loss_that_is_no_number_ends_it_and_spares_the_checkpoint(folder, capsys):
    asked = request_in(folder, lr=1e30, condition="per_loop_raw", save_every=1, quiet=True)
    assert training.run(asked) == 1
    assert "the loss is no number after" in capsys.readouterr().out
    overflowed = traces_of(folder)["overflowed"]
    assert overflowed >= 1
    found = load_checkpoint(folder / "run" / "checkpoint.safetensors")
    assert found.step <= overflowed
    assert traces_of(folder)["losses"][overflowed] is None
    told = overflow_in(Folder(folder / "run"))
    assert (told.condition, told.blind, told.step) == ("per_loop_raw", False, overflowed + 1)
    assert told.measured == 1
    assert told.length == pytest.approx(lines_of(folder)[0]["norms"][-1][0])


def test_one_that_did_not_overflow_says_so(uninterrupted, tmp_path):
    assert overflow_in(Folder(uninterrupted[0] / "run")) is None
    assert overflow_in(Folder(tmp_path)) is None


def test_parts_of_a_batch_add_up_to_the_whole(uninterrupted, folder):
    train(request_in(folder, accumulate=4, save_every=3))
    for mine, other in zip(lines_of(folder), lines_of(uninterrupted[0]), strict=True):
        assert _numbers(mine) == pytest.approx(_numbers(other), rel=1e-4)


def _numbers(line):
    """Return all that a line says, row by row."""
    rows = line.get("norms", [line.get("held_out", [])])
    return [*line.get("losses", ()), *(value for row in rows for value in row)]


def test_processes_together_come_to_what_one_comes_to(uninterrupted, tmp_path, monkeypatch):
    """Each takes half of every batch, holding all weights or half of each; sums differ in order."""
    install(monkeypatch, tmp_path)
    _run_twice([str(HERE / "small_trainings.py"), str(tmp_path), "ddp", "fsdp"])
    alone = [line for line in lines_of(uninterrupted[0]) if "held_out" not in line]
    for name in ("ddp", "fsdp"):
        together = [line for line in lines_of(tmp_path, name) if "held_out" not in line]
        assert [line["step"] for line in together] == [line["step"] for line in alone]
        for mine, other in zip(together, alone, strict=True):
            assert _numbers(mine) == pytest.approx(_numbers(other), rel=1e-4)
            assert mine["gradient"] == pytest.approx(other["gradient"], rel=1e-3)
        weights, _ = read_tensors(tmp_path / name / "checkpoint.safetensors")
        expected, _ = read_tensors(uninterrupted[0] / "run" / "checkpoint.safetensors")
        assert weights.keys() == expected.keys()
        for key, value in weights.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-4)
    # What several began one can go on with, however they held the weights.
    for name in ("ddp", "fsdp"):
        train(request_in(tmp_path, name, accumulate=2, resume=True, steps=16))
    ddp, fsdp = (_numbers(lines_of(tmp_path, name)[-2]) for name in ("ddp", "fsdp"))
    assert ddp == pytest.approx(fsdp, rel=1e-3)


def _run_twice(command):
    """Run two processes that know of each other, and leave neither behind."""
    port = _free_port()
    both = [
        subprocess.Popen([sys.executable, *command], env=_environment(rank, port))
        for rank in (0, 1)
    ]
    try:
        assert [each.wait(timeout=240) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
            each.wait()


def _environment(rank, port):
    """Return what torchrun tells the processes that it starts, two on this machine."""
    told = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": 2,
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
        "OMP_NUM_THREADS": 1,
    }
    return {**os.environ, **{name: str(value) for name, value in told.items()}}


def _free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


@pytest.mark.slow
def test_what_is_compiled_trains_alike(uninterrupted, folder, monkeypatch):
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: whole(f, backend="aot_eager", fullgraph=True))
    train(request_in(folder, compile=True, save_every=3))
    for mine, other in zip(lines_of(folder), lines_of(uninterrupted[0]), strict=True):
        assert _numbers(mine) == pytest.approx(_numbers(other), rel=1e-5)
