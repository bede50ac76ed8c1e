"""A probe from a target to its answer, on models as small as they can be."""

from pathlib import Path

import pytest
import torch
from tiny_targets import LENGTH, TURNS, VOCABULARY

from scaleaudit.bench import bench_of, built, probe_target
from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.probing import Batches, ProbeRequest
from scaleaudit.errors import ConfigError
from scaleaudit.probe.norms import Recorder
from scaleaudit.probe.program import Crossing

FILE = str(Path(__file__).with_name("tiny_targets.py"))
FEW = ProbeRequest(steps=4, seeds=1, device="cpu")


def answered(name, request=FEW):
    return probe_target(built(FILE, name), request)


@pytest.fixture(scope="module")
def free():
    """A target whose state nothing restrains, on the bench."""
    target = built(FILE, "free")
    return target.model, bench_of(target, FEW)


def test_measured_norms_are_those_of_the_forward_by_hand(free):
    model, bench = free
    feed = {**bench.weights(0), **next(bench.stream.batches(0))}
    recorder = Recorder()
    with torch.no_grad():
        bench.program.run(feed, recorder)
        measured = recorder.read()
        h = model.embed(feed["tokens"])
        for turn in range(1, TURNS + 1):
            h = h + model.mlp(model.norm(h))
            norms = h.norm(dim=-1)
            found = measured[Crossing(0, 0, turn)]
            assert found.mean == pytest.approx(float(norms.mean()), rel=1e-6)
            assert found.largest == pytest.approx(float(norms.max()), rel=1e-6)


def test_the_raw_twin_reads_the_state_without_its_norm(free):
    model, bench = free
    feed = {**bench.weights(0), **next(bench.stream.batches(0))}
    with torch.no_grad():
        h = model.embed(feed["tokens"])
        for _ in range(TURNS):
            h = h + model.mlp(model.norm(h))
        logits = model.head(h * model.out_norm.weight)
        by_hand = torch.nn.functional.cross_entropy(logits.flatten(0, 1), feed["targets"].flatten())
        assert float(bench.raw.run(feed)[0]) == pytest.approx(float(by_hand), rel=1e-6)


def test_a_probe_changes_no_module():
    target = built(FILE, "free")
    before = {name: value.clone() for name, value in target.model.state_dict().items()}
    found = probe_target(target, FEW)
    assert {run.fix for run in found.runs} >= {"", "a penalty on the carried state"}
    for name, value in target.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in target.model.parameters())


def test_a_probe_repeats_itself():
    first, second = answered("free"), answered("free")
    assert [run.losses for run in first.runs] == [run.losses for run in second.runs]
    assert first.states == second.states


def test_what_a_norm_holds_is_refuted_and_every_fix_is_shown_at_every_depth():
    found = answered("held", ProbeRequest(steps=10, seeds=2, device="cpu"))
    (state,) = found.states
    assert (found.verdict, state.reason) == (ProbeVerdict.REFUTED, "")
    assert max(state.deepers) < 1.1
    depths = [[at.turns for at in run.states[0].depths] for run in found.runs]
    assert depths == [[1, 2, 3, 2 * TURNS, 4 * TURNS]] * len(found.runs)


def test_a_value_that_two_loops_carry_is_measured_for_both():
    nests = Path(__file__).parents[2] / "models" / "nests.py"
    found = probe_target(built(str(nests), "hierarchy_post_norm"), FEW)
    assert found.verdict is ProbeVerdict.REFUTED
    assert len(found.states) == 2
    lengths = {len(turns) for state in found.runs[0].states for turns in state.turns}
    assert min(lengths) > 1
    assert all(state.depths for state in found.runs[0].states)


@pytest.mark.parametrize(("name", "alone"), [("listed", False), ("free", True)])
def test_a_loop_that_reads_several_earlier_turns_is_not_run_deeper(name, alone):
    found = answered(name)
    (state,) = next(run for run in found.runs if not run.fix).states
    assert (max(at.turns for at in state.depths) > TURNS) == alone
    assert (state.carry.kept is not None) == alone


def test_what_few_steps_leave_open_is_trained_for_longer():
    found = answered("free", ProbeRequest(steps=3, seeds=1, device="cpu"))
    assert {(run.fix, len(run.losses)) for run in found.runs[:4]} == {
        ("", 3),
        ("a penalty on the carried state", 3),
        ("a norm between turns", 3),
        ("a raw readout", 3),
    }
    longer = [run for run in found.runs if len(run.losses) == 12]
    assert {run.fix for run in longer} == {"", "a penalty on the carried state"}
    assert "what 3 steps left open was trained for 12, with one seed" in found.notes
    (state,) = found.states
    assert (len(state.ratios), state.steps) == (1, 12)


def test_what_nothing_restrains_is_confirmed():
    found = answered("free", ProbeRequest(steps=40, seeds=2, lr=0.1, device="cpu"))
    (state,) = found.states
    assert found.verdict is ProbeVerdict.CONFIRMED
    assert state.response < 1e-6
    assert min(state.ratios) > 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frozen", "reads no parameter that is trained"),
        ("deaf", "no gradient path to any parameter"),
        ("constant", "the loss is constant: it is 1 at every step"),
        ("numberless", "the loss is no number before any step: it is inf on the first batch"),
        ("half", "the weights are float16, and with them even the twin"),
        ("lossless", "the target has no loss to train on"),
        ("flipped", "the backward of the autograd function Flipped is not that of its forward"),
        ("misfits", "a tuple of 3, and what is trained takes tokens, targets"),
        ("failing", "the target's batches failed: OSError: no such data"),
    ],
)
def test_what_cannot_be_probed_is_answered_in_words(name, said):
    found = answered(name)
    assert said in found.reason
    assert found.verdict is ProbeVerdict.INCONCLUSIVE
    assert not found.states


def test_a_step_too_costly_for_the_budget_is_told():
    found = answered("free", ProbeRequest(steps=1_000_000, budget=1.0, device="cpu"))
    assert "the budget of 1 s has" in found.reason
    assert "--budget" in found.reason


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is one")
def test_that_there_is_no_mps_device_is_told():
    with pytest.raises(ConfigError, match="there is no mps device here") as told:
        answered("free", ProbeRequest(device="mps"))
    assert "cpu" in told.value.hint


@pytest.mark.parametrize("name", ["warp", "xpu"])
def test_a_device_that_is_not_there_is_told(name):
    with pytest.raises(ConfigError, match="there is no"):
        answered("free", ProbeRequest(device=name))


@pytest.mark.parametrize(("name", "count"), [("tuples", 5), ("dicts", 4)])
def test_batches_of_the_target_are_captured_in_their_own_shape(name, count):
    bench = bench_of(built(FILE, name), FEW)
    stream = bench.stream.batches(0)
    batches = [next(stream) for _ in range(5)]
    assert {batch["tokens"].shape for batch in batches} == {(count, LENGTH)}
    again = bench.stream.batches(0)
    assert all(torch.equal(batch["tokens"], next(again)["tokens"]) for batch in batches)
    assert not torch.equal(next(bench.stream.batches(1))["tokens"], batches[0]["tokens"])


def test_batches_can_be_made_up_for_a_target_that_has_its_own():
    bench = bench_of(built(FILE, "tuples"), ProbeRequest(batches=Batches.MADE, device="cpu"))
    assert bench.stream.source == "made-up data (text)"
    batch = next(bench.stream.batches(0))
    assert int(batch["tokens"].max()) < VOCABULARY
    assert torch.equal(batch["tokens"][:, 1:], batch["targets"][:, :-1])


def test_weights_are_made_anew_for_every_seed(free):
    _, bench = free
    first, other = bench.weights(0), bench.weights(1)
    assert not torch.equal(first["embed.weight"], other["embed.weight"])
    assert torch.equal(first["embed.weight"], bench.weights(0)["embed.weight"])
