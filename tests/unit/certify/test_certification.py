"""Certification of small looped models: what holds is certified, what does not is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import Target
from scaleaudit.certify import certifying, extent
from scaleaudit.certify.certifying import certify, certify_if_fit
from scaleaudit.domain.attempts import Certify
from scaleaudit.domain.claims import LoopClaims, PassClaims, TermClaim, TurnClaim
from scaleaudit.domain.facts import Certification, Outcome, PenaltyFlaw, Transition, Visibility
from scaleaudit.domain.scale import Degree, Growth, Interval, Scale
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse_and_claim

WIDTH = 8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Looped(nn.Module):
    """A pre-norm residual loop with a normed head and a penalty."""

    def __init__(self, weight: float = 0.01) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, WIDTH)
        self.norm = nn.RMSNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH))
        self.head = nn.Linear(WIDTH, 7)
        self.weight = weight

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(3):
            h = h + self.mlp(self.norm(h))
        logits = self.head(F.dropout(self.norm(h), 0.5))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + self.weight * (
            h.square().mean()
        )


class Halves(Looped):
    """Casts to half precision on the way, and noise in every turn."""

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(3):
            h = h + self.mlp(self.norm(h).bfloat16().float()) + 0.1 * torch.randn_like(h)
        logits = self.head(self.norm(h)).half().float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def captured(model: nn.Module) -> Captured:
    tokens = torch.randint(7, (2, 5))

    def target(*, fake: bool = False) -> Target:
        return Target(
            path=Path(__file__),
            name="model",
            model=model,
            args=(tokens, tokens),
            kwargs={},
            loss=lambda model, *args: model(*args),
            loss_args=(tokens, tokens),
            batches=None,
            engine=None,
            rebuild=target,
        )

    return capture(target())


@pytest.fixture(scope="module")
def program() -> Captured:
    torch.manual_seed(0)
    return captured(Looped())


@pytest.fixture
def claims(program: Captured) -> tuple[LoopClaims, ...]:
    return analyse_and_claim(program.graph, find_loops(program.graph))[1]


def certified(program: Captured, claims: tuple[LoopClaims, ...]) -> Certification:
    found = certify(program, claims, seconds=60)
    assert found is not None
    return found


def changed(
    claims: tuple[LoopClaims, ...], change: Callable[[PassClaims], PassClaims]
) -> tuple[LoopClaims, ...]:
    return tuple(replace(loop, passes=tuple(map(change, loop.passes))) for loop in claims)


def test_true_claims_are_certified(program, claims):
    found = certified(program, claims)
    assert found.outcome is Outcome.CERTIFIED
    assert found.compared > 40
    assert not found.reasons


def test_casts_and_noise_do_not_stand_in_the_way():
    program = captured(Halves())
    facts, claims = analyse_and_claim(program.graph, find_loops(program.graph))
    assert facts.loops[0].states[0].transition is Transition.CARRIED
    assert certified(program, claims).outcome is Outcome.CERTIFIED


def wrong_value(op: str, growth: Growth, span: Interval | None = None) -> Any:
    """Claim something else of the first value that an operator makes in every pass."""

    def change(program: Captured) -> Callable[[PassClaims], PassClaims]:
        def of_pass(claims: PassClaims) -> PassClaims:
            ref = next(r for r in claims.values if program.graph[r.node].base_op == op)
            scale = Scale(growth, span or Interval())
            return replace(claims, values={**claims.values, ref: scale})

        return of_pass

    return change


WRONG_VALUES = {
    "a norm that keeps the length": wrong_value(
        "aten._fused_rms_norm", Growth(Degree(1), Degree(1))
    ),
    "a square of too low a degree": wrong_value("aten.pow", Growth(Degree(1), Degree(1))),
    "a square of too high a degree": wrong_value("aten.pow", Growth(Degree(3), Degree(3))),
    "a square that is independent": wrong_value("aten.pow", Growth(depends=False)),
    "a square in a range": wrong_value(
        "aten.pow", Growth(Degree(2), Degree(2)), Interval(0.0, 100.0)
    ),
}


@pytest.mark.parametrize("change", WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_a_wrong_claim_of_a_value_is_refuted_at_its_operator(program, claims, change):
    ops = {node.base_op for node in program.graph.nodes}
    if "aten._fused_rms_norm" not in ops:
        change = wrong_value("aten.mean", Growth(Degree(1), Degree(1)))
    found = certified(program, changed(claims, change(program)))
    assert found.outcome is Outcome.REFUTED
    assert found.disagreements[0].location is not None


def turn(claim: TurnClaim) -> TurnClaim:
    return replace(claim, transition=Transition.DAMPED, gain=Interval(0.0, 0.5))


def forgotten(claim: TurnClaim) -> TurnClaim:
    return replace(claim, transition=Transition.REMOVED, gain=None)


@pytest.mark.parametrize("wrong", [turn, forgotten])
def test_a_wrong_claim_of_a_turn_is_refuted(program, claims, wrong):
    def change(each: PassClaims) -> PassClaims:
        return replace(each, turns=tuple(map(wrong, each.turns)))

    found = certified(program, changed(claims, change))
    assert found.outcome is Outcome.REFUTED
    assert "state `h`" in found.disagreements[0].claim


def unseen(claim: TermClaim) -> TermClaim:
    return replace(claim, flaw=PenaltyFlaw.SCALE_FREE) if claim.is_penalty else claim


def stopped(claim: TermClaim) -> TermClaim:
    return replace(claim, flaw=PenaltyFlaw.DETACHED) if claim.is_penalty else claim


def rewarded(claim: TermClaim) -> TermClaim:
    return replace(claim, flaw=PenaltyFlaw.NEGATIVE_WEIGHT) if claim.is_penalty else claim


def seen(claim: TermClaim) -> TermClaim:
    return claim if claim.is_penalty else replace(claim, visibility=Visibility.VISIBLE)


@pytest.mark.parametrize("wrong", [unseen, stopped, rewarded, seen])
def test_a_wrong_claim_of_a_loss_term_is_refuted(program, claims, wrong):
    def change(each: PassClaims) -> PassClaims:
        return replace(each, terms=tuple(map(wrong, each.terms)))

    assert certified(program, changed(claims, change)).outcome is Outcome.REFUTED


def test_a_term_that_was_not_found_is_missed(program, claims):
    def change(each: PassClaims) -> PassClaims:
        return replace(each, terms=tuple(term for term in each.terms if not term.is_penalty))

    found = certified(program, changed(claims, change))
    assert "all terms" in found.disagreements[0].claim


def test_a_law_that_is_wrong_is_refuted(monkeypatch: pytest.MonkeyPatch):
    from scaleaudit.scale import analysis, laws

    def wrong(*_: object) -> dict[str, Any]:
        known = dict(laws.all_laws())
        known["aten.gelu"] = known["aten.clone"]
        return known

    monkeypatch.setattr(analysis, "with_declared", wrong)
    program = captured(RawBranch())
    claims = analyse_and_claim(program.graph, find_loops(program.graph))[1]
    (first, *_) = certified(program, claims).disagreements
    assert first.operator == "aten.gelu.default"


class RawBranch(Looped):
    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        h = self.embed(tokens)
        for _ in range(3):
            h = h + self.mlp(h)
        return F.cross_entropy(self.head(h).flatten(0, 1), targets.flatten())


def test_an_operator_that_does_not_run_is_said_not_to(program, claims, monkeypatch):
    def fails(*_: object, **__: object) -> Iterator[Tensor]:
        raise RuntimeError("no kernel here\nand more lines")

    from scaleaudit.certify import program as running

    monkeypatch.setitem(running._INSTEAD, torch.ops.aten.gelu.default, fails)
    found = certified(program, claims)
    assert found.outcome is Outcome.NOT_CERTIFIED
    assert found.reasons == ("aten.gelu.default could not be run: no kernel here",)


def test_time_that_runs_out_is_told(program, claims):
    found = certify(program, claims, seconds=0)
    assert found is not None
    assert (found.outcome, found.reasons) == (Outcome.NOT_CERTIFIED, ("it took too long",))


@pytest.mark.parametrize("which", list(Certify))
def test_small_models_are_certified_unasked(program, claims, which, monkeypatch):
    room = 1 << 30
    asked = certify_if_fit(program, claims, which, 60, room)
    assert (asked is None) == (which is Certify.NEVER)
    monkeypatch.setattr(extent, "SMALL", 0.0)
    assert (certify_if_fit(program, claims, which, 60, room) is None) == (which is not Certify.ANY)


def test_what_does_not_fit_into_memory_is_not_run(program, claims):
    found = certify_if_fit(program, claims, Certify.ANY, 60, 1000)
    assert found is not None
    assert "GiB of memory" in found.reasons[0]
    assert certify_if_fit(program, claims, Certify.SMALL, 60, 1000) is None


def test_nothing_is_certified_where_nothing_is_claimed(program):
    assert certify(program, (), seconds=60) is None


def test_a_chance_disagreement_is_drawn_again(program, claims, monkeypatch):
    """What one draw alone contradicts is none."""
    examine, calls = certifying._Certifier._examine, []

    def lucky(self: Any, claims: PassClaims, draw: int, *, noisy: bool) -> Any:
        found = examine(self, claims, draw, noisy=noisy)
        calls.append(draw)
        if draw == 0:
            key = next(iter(found.compared))
            found.complaints[key] = ("", "by chance")
        return found

    monkeypatch.setattr(certifying._Certifier, "_examine", lucky)
    assert certified(program, claims).outcome is Outcome.CERTIFIED
    assert set(calls) == {0, 1}
