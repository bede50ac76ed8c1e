"""Positions that the states do not reach: they contradict no bound, and hide nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaleaudit.capture.capturing import Captured, capture
from scaleaudit.capture.targets import Target
from scaleaudit.certify.certifying import certify
from scaleaudit.certify.values import Judgement, Samples, judge_value
from scaleaudit.domain.claims import PassClaims
from scaleaudit.domain.facts import Certification, Outcome
from scaleaudit.domain.scale import Degree, Growth, Precision, Scale
from scaleaudit.loops.finder import find_loops
from scaleaudit.scale.analysis import analyse_and_claim

WIDTH, LENGTH = 12, 6
LIMIT = Precision.ASYMPTOTIC
FACTORS = torch.tensor([1.0, 2.0**7, 2.0**14, 2.0**20], dtype=torch.float64)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Normed(nn.Module):
    """A loop whose branch reads the state through something that leaves positions zero."""

    def __init__(self, branch: Callable[[Normed, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.row = nn.Parameter(torch.ones(1, WIDTH))
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for _ in range(2):
            h = self.norm(h + self.branch(self, h))
        return h.square().mean() + h.mean()


def shifted(h: Tensor) -> Tensor:
    return F.pad(h[:-1], (0, 0, 1, 0))


def masked(h: Tensor) -> Tensor:
    return h * (torch.arange(LENGTH) < 4).float()[:, None]


def gathered(h: Tensor) -> Tensor:
    targets = torch.tensor([1, 2, 3, 1, 2, 3])
    return torch.zeros_like(h).index_add(0, targets, h)


def by_hand(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


BRANCHES: dict[str, Callable[[Normed, Tensor], Tensor]] = {
    "a token shift": lambda m, h: m.first(shifted(h)),
    "a padding mask": lambda m, h: F.gelu(m.first(masked(h))),
    "sums over edges": lambda m, h: m.first(gathered(h)),
    "a causal matrix": lambda m, h: m.first(torch.tril(torch.ones(LENGTH, LENGTH), -1) @ h),
    "a matrix and a bias at once": lambda m, h: torch.addmm(
        m.row.expand(LENGTH, WIDTH), torch.tril(torch.ones(LENGTH, LENGTH), -1), h
    ),
    "a product with the bias alone": lambda m, h: m.first(h) * m.second(shifted(h)),
    "a gate": lambda m, h: F.silu(m.first(shifted(h))) * m.second(shifted(h)),
    "a square": lambda m, h: m.second(m.first(masked(h)).square()),
    "a norm by hand": lambda m, h: by_hand(m.first(shifted(h))),
}


def captured(branch: Callable[[Normed, Tensor], Tensor], length: int = LENGTH) -> Captured:
    torch.manual_seed(0)
    model, args = Normed(branch), (torch.randn(length, WIDTH),)

    def target(*, fake: bool = False) -> Target:
        return Target(
            path=Path(__file__),
            name="model",
            model=model,
            args=args,
            kwargs={},
            loss=lambda model, *args: model(*args),
            loss_args=args,
            batches=None,
            engine=None,
            rebuild=target,
        )

    return capture(target())


def certified(
    branch: Callable[[Normed, Tensor], Tensor],
    op: str = "",
    wrong: Growth | None = None,
    length: int = LENGTH,
) -> Certification:
    """Certify a branch, with something else claimed of all that an operator makes."""
    program = captured(branch, length)
    claims = analyse_and_claim(program.graph, find_loops(program.graph))[1]

    def change(each: PassClaims) -> PassClaims:
        refs = [ref for ref in each.values if program.graph[ref.node].base_op == op]
        assert refs or not op
        return replace(each, values={**each.values, **{ref: Scale(wrong) for ref in refs if wrong}})

    changed = [replace(loop, passes=tuple(map(change, loop.passes))) for loop in claims]
    found = certify(program, changed, seconds=60)
    assert found is not None
    return found


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_positions_that_the_states_do_not_reach_contradict_nothing(branch):
    found = certified(branch)
    assert found.outcome is Outcome.CERTIFIED
    assert found.compared > 10


def kernels(m: Normed, h: Tensor) -> Tensor:
    """Linear attention: tokens that are alike leave whole features of their kernels dead."""
    query, key = (F.elu(layer(h)) + 1 for layer in (m.first, m.second))
    return query @ (key.mT @ h)


@pytest.mark.parametrize(("op", "wrong"), [("", None), ("aten.mm", 1)])
def test_features_that_die_for_alike_tokens_contradict_no_right_bound(op, wrong):
    claim = None if wrong is None else Growth(Degree(wrong), Degree(wrong), precision=LIMIT)
    found = certified(kernels, op, claim, length=16)
    assert (found.outcome is Outcome.CERTIFIED) == (wrong is None)


def degree(power: int, precision: Precision = Precision.ASYMPTOTIC) -> Growth:
    return Growth(Degree(power), Degree(power), precision=precision)


@pytest.mark.parametrize("power", [0, 2])
@pytest.mark.parametrize("name", ["a token shift", "a padding mask", "sums over edges"])
def test_a_wrong_degree_beside_gaps_is_refuted(name, power):
    found = certified(BRANCHES[name], "aten.addmm", degree(power))
    assert found.outcome is Outcome.REFUTED
    assert found.disagreements[0].operator == "aten.addmm.default"


def test_a_degree_of_what_does_not_move_at_all_is_refuted():
    def signs(m: Normed, h: Tensor) -> Tensor:
        return torch.sign(shifted(h))

    assert certified(signs).outcome is Outcome.CERTIFIED
    for power in (1, -1):
        wrong = certified(signs, "aten.sign", degree(power))
        assert wrong.disagreements[0].operator == "aten.sign.default"


def test_what_stays_for_no_gap_is_refuted():
    def beside(m: Normed, h: Tensor) -> Tensor:
        return torch.cat([m.row, h[1:]])

    assert certified(beside).outcome is Outcome.CERTIFIED
    wrong = certified(beside, "aten.cat", degree(1))
    assert wrong.disagreements[0].operator == "aten.cat.default"


def test_what_grows_at_gaps_is_told():
    """A quotient is called bounded by what it is divided by, which is a bias there."""
    found = certified(lambda m, h: h / (1 + m.first(shifted(h)).abs()))
    assert found.disagreements[0].operator == "aten.div.Tensor"
    assert "a**1.000" in found.disagreements[0].measured


def judged(power: int, *powers: int, gaps: bool) -> Judgement:
    values = torch.stack([FACTORS**p for p in powers], dim=1)
    return judge_value(Scale(degree(power)), Samples(values, gaps=gaps))


def test_elements_below_a_bound_are_told_without_gaps_and_remembered_with_them():
    assert judged(2, 2, 1, gaps=False).complaint
    assert judged(2, 2, 1, gaps=True) == Judgement(short=True)
    assert judged(2, 2, 0, gaps=True) == Judgement()
    assert judged(2, 1, 1, gaps=True).complaint


def test_what_dies_less_beside_gaps_is_remembered_unless_it_grows_or_nothing_dies():
    assert judged(-2, -2, -1, gaps=False).complaint
    assert judged(-2, -2, -1, gaps=True) == Judgement(short=True)
    assert judged(-2, -2, 1, gaps=True).complaint
    assert judged(-2, -1, -1, gaps=True).complaint


def test_where_elements_are_no_numbers_what_is_left_need_not_grow():
    def beside(first: float) -> Judgement:
        values = torch.stack([FACTORS * first, *[FACTORS**0] * 40], dim=1)
        mixed = replace(degree(1), lo=Degree(0), mix=frozenset({-1}))
        return judge_value(Scale(mixed), Samples(values))

    assert beside(float("nan")) == beside(1.0) == Judgement()
    assert beside(float("inf")).complaint
