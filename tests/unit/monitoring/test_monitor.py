"""A watch measures what a user would measure by hand, and training does not notice it."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from watched import CLASSES, TURNS, WIDTH, Pair, Plain, Residual, batch_of, by_hand, loss_of

import scaleaudit
from scaleaudit.errors import ConfigError, ProbeError
from scaleaudit.monitoring import gauges
from scaleaudit.report.trace_reading import from_json_lines

# That the model is blind is what the first sign says of all of them.
pytestmark = pytest.mark.filterwarnings("ignore:step 0. SCL101:scaleaudit.ScaleWarning")


@pytest.fixture(autouse=True)
def one_seed():
    torch.manual_seed(0)


def trained(model, watch_with, *, steps=5, forms=(6,), **how):
    """Train for some steps, with a watch or without; returns it, and the losses."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batches = [batch_of(forms[i % len(forms)]) for i in range(steps)]
    watch = watch_with and scaleaudit.monitor(model, *batches[0], loss=loss_of, **how)
    losses = []
    for x, y in batches:
        loss = loss_of(model, x, y)
        optimiser.zero_grad()
        loss.backward()
        if watch:
            watch.step(loss, x, y)
        optimiser.step()
        losses.append(loss.item())
    return watch, losses


def norms(found):
    return [turn.mean for turn in found.readings[0].turns]


@pytest.mark.parametrize("checkpointed", [False, True])
def test_lengths_are_those_of_the_forward_that_the_user_wrote(checkpointed):
    model = Residual(checkpointed=checkpointed)
    x, y = batch_of()
    watch = scaleaudit.monitor(model, x, y, loss=loss_of, every=1)
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        x = torch.randn_like(x)
        assert norms(watch.step(None, x, y)) == pytest.approx(by_hand(model, x), rel=1e-5)
    assert len(watch.latest.readings[0].turns) == TURNS
    spread = model.states(x)[-1].detach().norm(dim=-1)
    assert watch.latest.readings[0].turns[-1].largest == pytest.approx(float(spread.max()))


def test_training_is_the_same_to_the_bit_with_a_watch_and_without():
    def ends(watch_with):
        torch.manual_seed(1)
        model = Residual(dropout=0.3)
        watch, losses = trained(model, watch_with, every=1, forms=(6, 4))
        held = {**model.state_dict(), **{f"grad {n}": p.grad for n, p in model.named_parameters()}}
        assert model.training
        assert not any(module._forward_hooks for module in model.modules())
        return watch, losses, held, torch.rand(3)

    watch, with_watch, held, drawn = ends(watch_with=True)
    _, without, held_without, drawn_without = ends(watch_with=False)
    assert len(watch.run.measured) == 5
    assert with_watch == without
    assert drawn.equal(drawn_without)
    assert held.keys() == held_without.keys()
    assert all(held[name].equal(held_without[name]) for name in held)


def test_a_watch_keeps_losses_of_every_step_and_lengths_of_every_so_manyth(tmp_path):
    out = tmp_path / "traces.jsonl"
    watch, losses = trained(Residual(), watch_with=True, steps=7, every=3, out=out)
    watch.close()
    assert watch.run.measured == (0, 3, 6)
    assert watch.run.losses == pytest.approx(losses)
    head, run, sign = (json.loads(line) for line in out.read_text().splitlines())
    assert (head["kind"], head["verdict"], head["findings"][0]["code"]) == (
        "audit",
        "fail",
        "SCL101",
    )
    assert (run["kind"], run["measured"], len(run["losses"])) == ("run", [0, 3, 6], 7)
    assert run["states"][0]["norms"][0][-1]["mean"] == watch.run.states[0].turns[0][-1].mean
    assert (sign["kind"], sign["sign"], sign["step"]) == ("sign", "audit", 0)
    assert {line["target"] for line in (head, run, sign)} == {"Residual"}
    (traced,) = from_json_lines(out.read_text(), out.name)
    (read,) = traced.runs
    assert (read.measured, read.losses, read.states) == (
        watch.run.measured,
        watch.run.losses,
        watch.run.states,
    )


def test_the_file_is_there_before_the_first_step_and_whole_after_an_error(tmp_path):
    out = tmp_path / "traces.jsonl"
    x, y = batch_of()

    def interrupted():
        with scaleaudit.monitor(Residual(), x, y, loss=loss_of, out=out) as watch:
            assert out.exists()
            watch.step(1.5, x, y)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert json.loads(out.read_text().splitlines()[1])["losses"] == [1.5]


def test_batches_of_other_forms_are_measured_on_programs_of_their_own():
    model = Residual()
    watch = scaleaudit.monitor(model, *batch_of(6), loss=loss_of, every=1)
    for count in (6, 2, 6):
        x, y = batch_of(count)
        assert norms(watch.step(None, x, y)) == pytest.approx(by_hand(model, x), rel=1e-5)
    x, y = batch_of()
    assert norms(watch.step(None, x, y, turns=5)) == pytest.approx(by_hand(model, x, 5), rel=1e-5)
    assert len(watch.latest.readings[0].turns) == 5


X, Y = torch.randn(6, WIDTH), torch.randint(CLASSES, (6,))
CALLS = [
    # What monitor is given, what a step is, and the turns that this means.
    ((X, Y), {}, (X, Y, 5), {}, 5),
    ((X, Y), {}, (X, Y), {"turns": 5}, 5),
    ((X, Y, 2), {}, (X, Y, 5), {}, 5),
    ((X, Y, 2), {}, (X, Y), {"turns": 5}, 5),
    ((X, Y, 5), {}, (X, Y), {}, TURNS),
    ((X, Y), {"turns": 5}, (X, Y), {}, 5),  # what goes by name stays
    ((X, Y), {"turns": 5}, (X, Y, 2), {}, 2),
    ((X, Y, 2), {}, (), {"turns": 5}, 5),
    ((), {"loss_args": (X, Y)}, (X, Y, 5), {}, 5),
    ((), {"loss_args": (X, Y)}, (X, Y), {"turns": 5}, 5),
    ((), {"loss_args": (X, Y, 2)}, (), {"turns": 5}, 5),
]


@pytest.mark.parametrize(("first", "kept", "batch", "named", "turns"), CALLS)
def test_a_call_that_gains_drops_or_changes_an_argument_is_measured_as_it_is(
    first, kept, batch, named, turns
):
    model = Residual()
    with pytest.warns(scaleaudit.ScaleWarning, match="SCL101"):
        watch = scaleaudit.monitor(model, *first, loss=with_turns, every=1, **kept)
    found = norms(watch.step(None, *batch, **named))
    assert found == pytest.approx(by_hand(model, X, turns), rel=1e-5)


def with_turns(model, x, y, turns=TURNS):
    return nn.functional.cross_entropy(model(x, turns), y)


def test_a_default_that_is_said_is_no_other_form(monkeypatch):
    monkeypatch.setattr(gauges, "MOST_FORMS", 1)
    model = Residual()
    watch = scaleaudit.monitor(model, X, Y, loss=with_turns, every=1)
    for batch, named in (((X, Y, TURNS), {}), ((X,), {"turns": TURNS, "y": Y})):
        found = watch.step(None, *(torch.clone(b) if b is X else b for b in batch), **named)
        assert norms(found) == pytest.approx(by_hand(model, X), rel=1e-5)
    assert [sign.kind.value for sign in watch.signs] == ["audit"]  # and nothing of other forms


class Scheduled(Residual):
    """Its turns are an attribute, and it counts its calls."""

    def __init__(self):
        super().__init__()
        self.turns, self.calls = TURNS, 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x, self.turns)


def test_turns_that_are_set_by_an_attribute_are_followed_and_counters_cost_one_capture(monkeypatch):
    monkeypatch.setattr(gauges, "MOST_FORMS", 2)
    model = Scheduled()
    watch = scaleaudit.monitor(model, X, Y, loss=loss_of, every=1)
    captured = _counted(monkeypatch)
    for turns in (TURNS, TURNS, 5, 5, TURNS, 5):
        model.turns = turns
        loss_of(model, X, Y)
        assert norms(watch.step(None, X, Y)) == pytest.approx(by_hand(model, X, turns), rel=1e-5)
    assert model.calls == 6
    assert captured == [1, 3]  # calls when it was captured anew: for the counter, and for the turns
    model.turns = 6
    with pytest.warns(scaleaudit.ScaleWarning, match="attributes of the model, come in more"):
        watch.step(None, X, Y)


def _counted(monkeypatch):
    captured, capture = [], gauges.capture

    def counted(target, **how):
        captured.append(target.model.calls)
        return capture(target, **how)

    monkeypatch.setattr(gauges, "capture", counted)
    return captured


def test_one_tensor_given_twice_is_told_from_two():
    model = Residual()
    watch = scaleaudit.monitor(model, X, X, loss=_of_two, every=1)
    other = torch.randn_like(X)
    found = norms(watch.step(None, X, other))
    assert found == pytest.approx(by_hand(model, X + other), rel=1e-5)


def _of_two(model, a, b):
    return model(a + b).square().mean()


def test_names_that_loss_args_has_no_place_for_are_said():
    def loss(model, x, y, *, turns=TURNS):
        return with_turns(model, x, y, turns)

    watch = scaleaudit.monitor(Residual(), loss=loss, loss_args=(X, Y), every=1)
    with pytest.warns(scaleaudit.ScaleWarning, match="takes turns by name alone"):
        assert watch.step(None, X, Y, turns=5) is None
    with pytest.warns(scaleaudit.ScaleWarning, match="cannot be called with depth"):
        assert watch.step(None, X, Y, depth=5) is None


def test_a_loss_that_is_no_number_at_all_is_refused_and_shifts_nothing():
    watch = scaleaudit.monitor(Residual(), X, Y, loss=loss_of, every=2)
    watch.step(1.0, X, Y)
    for wrong in ("abc", {"loss": 1}, [1.0]):
        with pytest.raises(ConfigError, match="the loss of a step is a"):
            watch.step(wrong, X, Y)
    for right in (torch.tensor([2.0, 4.0]), 4, torch.tensor(5.0).numpy()):
        watch.step(right, X, Y)
    watch.close()
    assert watch.run.losses == (1.0, 3.0, 4.0, 5.0)
    assert watch.run.measured == (0, 2)


def test_an_empty_batch_has_no_lengths_and_that_is_said_once():
    watch = scaleaudit.monitor(Residual().eval(), X, Y, loss=loss_of, every=1)
    with pytest.warns(scaleaudit.ScaleWarning, match="a batch is empty"):
        assert watch.step(None, X[:0], Y[:0]) is None
    assert watch.step(None, X[:0], Y[:0]) is None
    assert watch.run.measured == ()
    assert watch.step(None, X, Y) is not None


def test_batches_of_ever_more_forms_are_measured_on_the_first_and_that_is_said(monkeypatch):
    monkeypatch.setattr(gauges, "MOST_FORMS", 2)
    model, first = Residual(), batch_of(20)
    watch = scaleaudit.monitor(model, *first, loss=loss_of, every=1)
    watch.step(None, *batch_of(2))
    with pytest.warns(scaleaudit.ScaleWarning, match="come in more than .* forms"):
        found = watch.step(None, *batch_of(30))
    assert norms(found) == pytest.approx(by_hand(model, first[0]), rel=1e-5)
    assert watch.step(None, *batch_of(31)) is not None  # said once


def test_a_batch_that_cannot_be_measured_on_does_not_end_training():
    watch = scaleaudit.monitor(Residual(), *batch_of(), loss=loss_of, every=1)
    with pytest.warns(scaleaudit.ScaleWarning, match="a batch cannot be measured on"):
        assert (
            watch.step(None, torch.randn(6, WIDTH + 1), torch.zeros(6, dtype=torch.int64)) is None
        )
    assert watch.step(None, *batch_of()) is not None
    assert watch.run.measured == (1,)


def test_without_a_batch_the_first_one_is_measured_on_and_without_a_loss_the_model_is_called():
    model, (x, _) = Residual(), batch_of()
    with pytest.warns(scaleaudit.ScaleWarning, match="SCL101"):
        watch = scaleaudit.monitor(model, x, turns=2, every=1, start=5)
    assert norms(watch.step()) == pytest.approx(by_hand(model, x, 2), rel=1e-5)
    assert watch.latest.step == 5
    other = torch.randn_like(x)
    assert norms(watch.step(None, other)) == pytest.approx(by_hand(model, other, 2), rel=1e-5)


@pytest.mark.parametrize("given", [True, False])
def test_what_autocast_computes_is_measured(given):
    model, (x, y) = Residual(), batch_of()
    watch = scaleaudit.monitor(
        model, x, y, loss=loss_of, every=1, autocast=torch.bfloat16 if given else None
    )
    with torch.autocast("cpu", torch.bfloat16):
        expected = by_hand(model, x)
        ambient = None if given else watch.step(None, x, y)
    found = watch.step(None, x, y) if given else ambient
    assert norms(found) == pytest.approx(expected, rel=1e-5)
    assert norms(found) != pytest.approx(by_hand(model, x), rel=1e-5)


@pytest.mark.slow
def test_compiled_models_are_watched_as_they_were_written():
    model, (x, y) = Residual(), batch_of()
    compiled = torch.compile(model, backend="eager")
    watch = scaleaudit.monitor(compiled, x, y, loss=loss_of, every=1)
    loss_of(compiled, x, y).backward()
    assert norms(watch.step(None, x, y)) == pytest.approx(by_hand(model, x), rel=1e-5)


def test_models_of_several_processes_are_watched_by_the_first(tmp_path):
    model, (x, y) = Residual(), batch_of()
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(model)
        watch = scaleaudit.monitor(parallel, x, y, loss=loss_of, every=1)
        loss_of(parallel, x, y).backward()
        assert norms(watch.step(None, x, y)) == pytest.approx(by_hand(model, x), rel=1e-5)
    finally:
        torch.distributed.destroy_process_group()
    assert watch.report.targets[0].name == "Residual"


def test_other_processes_than_the_first_only_audit(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    x, y = batch_of()
    with scaleaudit.monitor(Residual(), x, y, loss=loss_of, out=tmp_path / "t", every=1) as watch:
        assert watch.step(None, x, y) is None
    assert not list(tmp_path.iterdir())
    assert watch.report.targets[0].verdict.value == "fail"


def test_all_states_of_all_loops_are_measured():
    model, (x, y) = Pair(), batch_of()
    found = scaleaudit.monitor(model, x, y, loss=loss_of, every=1).step(None, x, y)
    assert [len(reading.turns) for reading in found.readings] == [2, 3]
    h = x
    for _ in range(2):
        h = h + torch.tanh(model.first(h))
    assert found.readings[0].turns[-1].mean == pytest.approx(h.norm(dim=-1).mean().item())


def test_a_loss_that_is_no_number_is_said_with_its_step():
    watch = scaleaudit.monitor(Residual(), *batch_of(), loss=loss_of, every=3)
    for loss in (1.0, torch.tensor(2.0), torch.tensor(float("nan"))):
        watch.step(loss, *batch_of())
    with pytest.warns(scaleaudit.ScaleWarning, match="step 2: the loss is NaN or infinite"):
        watch.step(None, *batch_of())
    assert watch.run.overflowed == 2
    assert watch.run.losses[:2] == (1.0, 2.0)


def test_what_cannot_be_meant_is_refused():
    x, y = batch_of()
    with pytest.raises(ProbeError, match="no weight-tied loop"):
        scaleaudit.monitor(Plain(), x, y, loss=loss_of)
    with pytest.raises(ConfigError, match="the class Residual"):
        scaleaudit.monitor(Residual, x, y, loss=loss_of)
    with pytest.raises(ConfigError, match="every=0"):
        scaleaudit.monitor(Residual(), x, y, loss=loss_of, every=0)
    for wrong in ({"every": 2.5}, {"every": "3"}, {"start": "3"}, {"start": -1}):
        with pytest.raises(ConfigError, match="whole numbers"):
            scaleaudit.monitor(Residual(), x, y, loss=loss_of, **wrong)
    with pytest.raises(ConfigError, match="autocast='bf16' is no type"):
        scaleaudit.monitor(Residual(), x, y, loss=loss_of, autocast="bf16")
    halves = Residual()
    halves.head = nn.Linear(WIDTH, CLASSES, device="meta")
    with pytest.raises(ConfigError, match="weights are on cpu, meta"):
        scaleaudit.monitor(halves, x, y, loss=loss_of)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_model_that_moves_to_a_gpu_is_measured_there():
    model, (x, y) = Residual(dropout=0.3), batch_of()
    watch = scaleaudit.monitor(model, x, y, loss=loss_of, every=1)
    model.cuda().eval()
    before = torch.cuda.get_rng_state()
    found = watch.step(None, x.cuda(), y.cuda())
    assert norms(found) == pytest.approx(by_hand(model, x.cuda()), rel=1e-4)
    assert torch.cuda.get_rng_state().equal(before)
