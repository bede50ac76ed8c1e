"""What a turn keeps of a long state, and how far weights can lengthen one, against loops of known answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scaleaudit.bench import bench_of
from scaleaudit.capture.targets import Target
from scaleaudit.domain.probing import Carry, ProbeRequest
from scaleaudit.probe.carry import carries
from scaleaudit.probe.response import FLAT, respond

WIDTH, TURNS, TOKENS = 8, 3, 11


class Loop(nn.Module):
    """A state that a turn makes anew, read through a norm."""

    def __init__(self, turn, penalty=None, turns=TURNS):
        super().__init__()
        self.embed, self.out = nn.Embedding(TOKENS, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.gain = nn.Parameter(torch.full((WIDTH,), 0.5))
        self.cell = nn.GRUCell(WIDTH, WIDTH)
        self.turn, self.penalty, self.turns = turn, penalty, turns

    def forward(self, tokens, targets):
        h = x = self.embed(tokens).flatten(0, 1)
        for _ in range(self.turns):
            h = self.turn(self, h, x)
        logits = self.out(normed(h))
        loss = F.cross_entropy(logits, targets.flatten() % WIDTH)
        return loss if self.penalty is None else loss + 0.1 * self.penalty(h)


def normed(x):
    return F.rms_norm(x, (WIDTH,))


def residual(model, h, _):
    return h + model.out(normed(h))


def residual_of_bounded(model, h, _):
    return h + torch.tanh(model.out(normed(h)))


def half(model, h, _):
    return 0.5 * h + model.out(normed(h))


def half_of_bounded(model, h, _):
    return 0.5 * h + torch.tanh(model.out(h))


def norm_between(model, h, _):
    return normed(h + model.out(normed(h))) * model.gain


def gated(model, h, x):
    return model.cell(x, h)


def shut_by_large_weights(model, h, _):
    open_ = torch.sigmoid(-model.gain)
    return 0.5 * h + open_ * model.out(normed(h))


def bench(turn, penalty=None, turns=TURNS):
    torch.manual_seed(0)
    tokens = torch.randint(TOKENS, (2, 5))

    def rebuild(*, fake):
        torch.manual_seed(0)
        model = Loop(turn, penalty, turns)
        args = (tokens, tokens)
        return Target(Path(__file__), "Loop", model, args, {}, None, args, None, None, rebuild)

    return bench_of(rebuild(fake=False), ProbeRequest(device="cpu"))


def measured(turn, turns=TURNS):
    made = bench(turn, turns=turns)
    weights = made.weights(0)
    feed = {**weights, **next(made.stream.batches(0))}
    moved = [name for name in made.program.parameters if weights[name].requires_grad]
    (found,) = carries(made.wide, feed, moved, 0)
    return found


@pytest.mark.parametrize(
    ("turn", "kept", "is_bounded"),
    [
        (residual, 1.0, False),
        (residual_of_bounded, 1.0, True),
        (half, 0.5, False),
        (half_of_bounded, 0.5, True),
        (norm_between, 0.0, False),
        (shut_by_large_weights, 0.5, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_kept_of_long_states_and_whether_writes_have_a_bound(turn, kept, is_bounded):
    found = measured(turn)
    assert found.kept == pytest.approx(kept, abs=1e-4)
    assert (found.reach < 1.1) == is_bounded


def times_a_matrix(model, h, _):
    return h @ (model.out.weight / torch.linalg.matrix_norm(model.out.weight, ord=2))


def times_half_of_it(model, h, x):
    return 0.5 * times_a_matrix(model, h, x)


def divided_by_another(model, h, _):
    return 0.1 * h @ (model.out.weight / torch.linalg.matrix_norm(model.cell.weight_hh, ord=2))


@pytest.mark.parametrize(
    ("turn", "low", "high"),
    [
        (half, 0.499, 0.501),
        (gated, 0.7, 1.0),
        (times_a_matrix, 0.9, 1.001),
        (times_half_of_it, 0.45, 0.501),
        (divided_by_another, 1.5, math.inf),
    ],
)
def test_turns_can_be_trained_to_keep_what_their_form_allows(turn, low, high):
    found = measured(turn)
    assert 0.001 < found.kept < 0.95
    assert low < found.attainable < high


def half_beside_the_input(model, h, x):
    return 0.5 * h + torch.tanh(model.out(h)) + x


def test_what_a_turn_is_given_besides_may_grow_as_weights_do():
    assert measured(half_beside_the_input).reach == pytest.approx(100, rel=0.1)


def first_tokens_alone(model, h, _):
    first, rest = h.split((10, len(h) - 10))
    return torch.cat((norm_between(model, first, None), rest))


def test_tokens_that_a_turn_passes_by_are_counted():
    found = measured(first_tokens_alone)
    assert found.untouched == pytest.approx(1 - 10 / 40)
    assert measured(half).untouched == 0


def normed_every(count):
    """A norm at the end of every turn of such a number."""

    def turn(model, h, _):
        model.count = getattr(model, "count", 0) + 1
        h = h + model.out(normed(h))
        is_due = model.count % count == 0
        return h * (torch.rsqrt(h.square().mean(-1, keepdim=True)) if is_due else 1.0)

    return turn


def test_a_last_turn_that_forgets_what_the_others_keep_does_not_speak_for_them():
    assert measured(normed_every(6), turns=6).kept == pytest.approx(1, abs=1e-4)
    assert measured(normed_every(2), turns=6).kept < 1e-4


def test_turns_that_forget_now_and_then_speak_for_those_between():
    """The last turn, too, keeps all that the third one has left."""
    assert measured(normed_every(3), turns=4).kept < 1e-4


def sum_of_all(model, h, x):
    """Start a list at the first turn, and write to the sum of what is on it."""
    model.count = getattr(model, "count", 0) + 1
    model.seen = [h] if model.count % TURNS == 1 else [*model.seen, h]
    return residual(model, sum(model.seen), x)


def test_turns_that_read_all_earlier_ones_are_asked_as_well():
    assert measured(sum_of_all) == Carry(kept=pytest.approx(1, abs=1e-2))


def test_gates_that_let_very_long_states_through_do_not_keep_those_that_are_a_little_longer():
    found = measured(gated)
    assert 0.1 < found.kept < 0.95
    assert found.reach < 1.1


def learned_mean(h):
    return h.square().mean()


def detached_mean(h):
    return h.detach().square().mean()


def unrecorded_mean(h):
    with torch.no_grad():
        return h.square().mean()


def faint_logarithm(h):
    return 0.03 * h.square().mean().log1p()


def detached_logarithm(h):
    return faint_logarithm(h.detach())


def what_fades(h):
    return 1.0 / (1.0 + h.square().mean())


@pytest.mark.parametrize(
    ("penalty", "is_flat"),
    [(faint_logarithm, False), (detached_logarithm, True), (what_fades, True)],
)
def test_what_rises_slowly_without_end_is_told_from_what_fades(penalty, is_flat):
    made = bench(residual, penalty)
    found = respond(made.wide, {**made.weights(0), **next(made.stream.batches(0))}, 0, 0)
    assert found.is_flat == is_flat
    assert abs(found.change) < FLAT


def along_one(h):
    return h.mean(-1).square().mean()


@pytest.mark.parametrize(("penalty", "seen"), [(learned_mean, 1.0), (along_one, 1 / WIDTH)])
def test_directions_along_which_the_length_is_seen_are_counted(penalty, seen):
    made = bench(residual, penalty)
    found = respond(made.wide, {**made.weights(0), **next(made.stream.batches(0))}, 0, 0)
    assert found.directions == pytest.approx(seen)


@pytest.mark.parametrize(
    ("penalty", "is_flat"),
    [(None, True), (learned_mean, False), (detached_mean, True), (unrecorded_mean, True)],
)
def test_a_penalty_without_gradient_restrains_nothing(penalty, is_flat):
    made = bench(residual, penalty)
    feed = {**made.weights(0), **next(made.stream.batches(0))}
    found = respond(made.wide, feed, 0, 0)
    assert found.is_flat == is_flat
    raises = penalty is not None
    assert (found.values[-1] > 100 * found.values[0]) == raises
