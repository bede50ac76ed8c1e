"""Every declared fact is bound with its type, and every bound one is declared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rule_support import at, facts, opaque, penalty, probed, readout, state

from scaleaudit.domain.facts import Disagreement, Gain, StateFacts
from scaleaudit.domain.finding import CommentFlaw, IdleComment
from scaleaudit.errors import TargetError
from scaleaudit.rules import binding
from scaleaudit.rules.binding import Binding
from scaleaudit.rules.cel import Kind
from scaleaudit.rules.vocabulary import FACTS, LOCATIONS, PROOFS, Scope, facts_of

TYPES = {
    Kind.BOOL: bool,
    Kind.INT: int,
    Kind.DOUBLE: float,
    Kind.TEXT: str,
    Kind.TEXTS: tuple,
}
FULL = state(
    gain=Gain(0.0, 1.0, location=at(21)),
    readouts=(readout(), readout("visible", supervised=False)),
    penalties=(penalty("detached"),),
    bypassed_norm=at(23),
)


def bindings(given: StateFacts) -> Iterator[tuple[Scope, Binding]]:
    whole = probed(facts(given))
    outermost = binding.of_target("model.py", "t", whole)
    loop = binding.of_loop(whole.loops[0]).inside(outermost)
    bound = binding.of_state(given, whole.loops[0], whole).inside(loop)
    yield from ((Scope.TARGET, outermost), (Scope.LOOP, loop), (Scope.STATE, bound))
    for each in given.readouts:
        yield Scope.READOUT, binding.of_readout(each).inside(bound)
    for each in given.penalties:
        yield Scope.PENALTY, binding.of_penalty(each).inside(bound)
    yield Scope.OPERATOR, binding.of_operator(opaque(), decides=True).inside(bound)
    refuted = Disagreement("aten.relu.default", at(3), "it keeps its degree", "it does not")
    yield Scope.CLAIM, binding.of_claim(refuted)
    idle = IdleComment(at(3), ("SCL101",), CommentFlaw.UNUSED, "accepts no finding")
    yield Scope.COMMENT, binding.of_comment(idle)


@pytest.mark.parametrize(("scope", "bound"), list(bindings(FULL)), ids=str)
def test_bound_facts_are_declared_for_their_scope_with_their_type(
    scope: Scope, bound: Binding
) -> None:
    declared = facts_of(scope)
    for name, value in bound.values.items():
        assert type(value) is TYPES[declared[name].kind], name
        if declared[name].choices:
            values = value if isinstance(value, tuple) else (value,)
            assert set(values) <= set(declared[name].choices), name


def test_every_declared_fact_place_and_proof_is_bound_for_some_model() -> None:
    failed = binding.of_failure("t", TargetError("no"), at(1))
    found = [failed, *(bound for _, bound in bindings(FULL))]
    assert {fact.name for fact in FACTS} == {name for bound in found for name in bound.values}
    assert {place.name for place in LOCATIONS} == {
        name for bound in found for name, places in bound.places.items() if places
    }
    assert {proof.name for proof in PROOFS} == {
        name for bound in found for name, steps in bound.proofs.items() if steps
    }


def test_what_is_not_known_is_absent() -> None:
    unknown = state(
        "unknown",
        "unknown",
        readouts=(readout("unknown", degree=None, coverage=None),),
        penalties=(penalty("unknown sign or operator", degree=None),),
        branch_degree=None,
    )
    merged: dict[str, object] = {}
    for _, bound in bindings(unknown):
        merged |= bound.values
    for name in (
        "state.transition",
        "state.visibility",
        "state.active",
        "state.blind",
        "state.identity_path",
        "state.branch_degree",
        "state.writes_bounded",
        "state.norm_bypassed",
        "readouts.visibility",
        "penalties.effective",
        "readout.visibility",
        "readout.degree",
        "readout.coverage",
        "penalty.effective",
        "penalty.flaw",
        "penalty.degree",
    ):
        assert name not in merged, name


def visibilities(*given: str) -> object:
    made = state(readouts=tuple(readout(each) for each in given))
    whole = facts(made)
    return binding.of_state(made, whole.loops[0], whole).values.get("readouts.visibility")


def test_an_unknown_readout_matters_only_where_none_is_visible() -> None:
    assert visibilities("invariant", "visible") == ("invariant", "visible")
    assert visibilities("unknown", "visible") == ("visible",)
    assert visibilities("unknown", "saturating") is None
    assert visibilities() == ()


def test_readouts_outside_the_loss_that_may_see_are_not_counted_as_none() -> None:
    made = state(readouts=(readout(), readout("unknown", supervised=False)))
    whole = facts(made)
    values = binding.of_state(made, whole.loops[0], whole).values
    assert "readouts.unsupervised_seeing" not in values
