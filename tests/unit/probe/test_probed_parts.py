"""Losses that see the length of a part of a state, that reward it, or that bring along weights."""

from pathlib import Path

import pytest
import torch
from tiny_targets import LENGTH, WIDTH

from scaleaudit.bench import bench_of, built, probe_target
from scaleaudit.domain.probing import ProbeRequest
from scaleaudit.probe.norms import Recorder
from scaleaudit.probe.parts import shifted
from scaleaudit.probe.program import Crossing
from scaleaudit.probe.response import respond

FILE = str(Path(__file__).with_name("tiny_targets.py"))
FEW = ProbeRequest(steps=4, seeds=1, device="cpu", brief=True)


def on_the_bench(name):
    return bench_of(built(FILE, name), FEW)


def response_of(name):
    bench = on_the_bench(name)
    weights, batches = bench.weights(0), bench.stream.batches(0)
    first, second = {**weights, **next(batches)}, {**weights, **shifted(next(batches))}
    return respond(bench.wide, first, 0, 0, other=second)


@pytest.mark.parametrize(
    ("name", "seen"), [("penalty_of_the_last_token", LENGTH - 1), ("raw_first_token", 0)]
)
def test_positions_are_flat_where_the_loss_sees_the_length_of_another(name, seen):
    found = response_of(name)
    assert found.is_flat
    assert found.part.mask.shape[-1] == LENGTH
    assert [place for place in range(LENGTH) if not found.part.mask[:, place].any()] == [seen]
    assert found.part.mask.double().mean() == pytest.approx((LENGTH - 1) / LENGTH)


def test_channels_are_flat_where_the_loss_sees_the_length_of_another():
    found = response_of("penalty_of_a_channel")
    assert found.is_flat
    assert found.part.of_channels
    assert found.part.mask.tolist() == [False] + [True] * (WIDTH - 1)


@pytest.mark.parametrize("name", ["penalty_of_all", "raw_and_ignored", "some_raw_beside_normed"])
def test_no_part_is_flat_of_what_the_loss_sees_whole_or_where_the_data_say(name):
    found = response_of(name)
    assert not found.is_flat
    assert found.part is None


def test_a_loss_that_falls_without_end_restrains_nothing():
    found = response_of("rewarded")
    assert found.is_flat
    assert found.is_rewarded
    assert found.change < -0.9


def test_lengths_are_those_of_the_part_in_training_and_at_every_depth():
    target = built(FILE, "penalty_of_the_last_token")
    found = probe_target(target, FEW)
    assert any(f"{8 * (LENGTH - 1)} of {8 * LENGTH} positions" in note for note in found.notes)
    bench = bench_of(target, FEW)
    feed = {**bench.weights(0), **next(bench.stream.batches(0))}
    with torch.no_grad():
        _, kept = bench.program.run(feed, keep=list(bench.program.crossings))
    by_hand = [
        kept[node][:, :-1].norm(dim=-1).mean() for node in bench.program.crossings
    ]  # of the three turns
    own = next(run for run in found.runs if not run.fix)
    measured = [turn.mean for turn in own.states[0].turns[0]]
    assert measured == pytest.approx([float(norm) for norm in by_hand], rel=1e-5)


def test_a_part_of_the_channels_is_as_long_as_these_are():
    part = response_of("penalty_of_a_channel").part
    value, at = torch.randn(8, LENGTH, WIDTH), Crossing(0, 0, 1)
    recorder = Recorder(parts={at: part})
    recorder(at, value)
    wanted = float(value[..., 1:].norm(dim=-1).mean())
    assert recorder.read()[at].mean == pytest.approx(wanted, rel=1e-5)
    assert torch.equal(part.scaled(value, 3.0)[..., 0], value[..., 0])
    assert torch.equal(part.scaled(value, 3.0)[..., 1:], 3.0 * value[..., 1:])


def test_weights_that_the_loss_brings_along_are_trained():
    bench = on_the_bench("criterion")
    own = {name for name, _ in built(FILE, "criterion").model.named_parameters()}
    brought = [name for name in bench.program.parameters if name not in own]
    assert len(set(brought)) == 3  # the norm's gain, and the head's weight and bias
    assert all(bench.weights(seed)[name].requires_grad for name in brought for seed in (0, 1))
    found = probe_target(built(FILE, "criterion"), FEW)
    assert found.reason == ""
    assert found.runs


def test_a_batch_is_not_widened_beyond_what_the_loss_takes():
    bench = on_the_bench("contrast")
    assert next(bench.stream.batches(0))["tokens"].shape == (2, LENGTH)
    assert next(on_the_bench("free").stream.batches(0))["tokens"].shape == (8, LENGTH)
    found = probe_target(built(FILE, "contrast"), FEW)
    assert found.reason == ""


@pytest.mark.parametrize(("read", "is_flat"), [("normed", True), ("raw", False)])
def test_a_state_that_another_reads_is_flat_where_that_sees_no_length(read, is_flat):
    bench = on_the_bench(f"notes_read_{read}")
    feed = {**bench.weights(0), **next(bench.stream.batches(0))}
    (loop,) = bench.wide.nest.loops
    (notes,) = (j for j, _ in enumerate(loop.states) if not bench.wide.reads(0, j))
    assert respond(bench.wide, feed, 0, notes).is_flat == is_flat
    assert not respond(bench.wide, feed, 0, 1 - notes).is_flat
