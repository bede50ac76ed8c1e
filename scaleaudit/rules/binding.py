"""From the facts of a target to the values, places and proofs that rule pages name.

A fact that is not known is absent here, never a placeholder: a condition that needs it is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scaleaudit.domain.facts import (
    Disagreement,
    LoopFacts,
    Opaque,
    Penalty,
    PenaltyFlaw,
    ProofStep,
    Readout,
    ScaleFacts,
    StateFacts,
    Transition,
    Visibility,
    subject_of,
)
from scaleaudit.domain.finding import IdleComment
from scaleaudit.domain.graph import Location
from scaleaudit.errors import ScaleAuditError
from scaleaudit.rules import judgement, wording
from scaleaudit.rules.cel import Value


@dataclass(frozen=True, slots=True)
class Binding:
    """What one subject gives to the rules of its scope.

    Attributes:
        subject: The subject in words, as "state `x` of loop `Model.forward`"; that of the state
            around it where it is empty.
        values: Facts by name, the unknown ones absent.
    """

    subject: str
    values: dict[str, Value]
    places: dict[str, tuple[Location, ...]] = field(default_factory=dict)
    proofs: dict[str, tuple[ProofStep, ...]] = field(default_factory=dict)

    def inside(self, outer: Binding) -> Binding:
        """Add the facts of the subject around this one."""
        return Binding(
            self.subject or outer.subject,
            outer.values | self.values,
            outer.places | self.places,
            outer.proofs | self.proofs,
        )


def of_target(path: str, name: str, facts: ScaleFacts) -> Binding:
    """Bind the facts of an audited target."""
    values: dict[str, Value] = {
        "target.name": name,
        "target.audited": True,
        "target.loops": len(facts.loops),
        "target.loss_found": facts.loss_found,
        "target.operators": facts.coverage.operators,
        "target.unknown_operators": len(facts.coverage.unknown),
    }
    return Binding(f"target `{name}`", values, {"target.location": (Location(path, 1),)})


def of_failure(name: str, error: ScaleAuditError, where: Location | None) -> Binding:
    """Bind the facts of a target that could not be audited: that, and why."""
    values: dict[str, Value] = {
        "target.name": name,
        "target.audited": False,
        "target.error": error.message,
    }
    return Binding(f"target `{name}`", values, {"target.location": _places(where)})


def of_loop(loop: LoopFacts) -> Binding:
    """Bind the facts of a loop."""
    values = _known(
        {
            "loop.name": loop.name,
            "loop.turns": loop.turns,
            "loop.turns_from": loop.turns_from.value if loop.turns_from else None,
            "loop.states": len(loop.states),
        }
    )
    return Binding(f"loop `{loop.name}`", values, {"loop.location": _places(loop.location)})


def of_state(state: StateFacts, loop: LoopFacts, facts: ScaleFacts) -> Binding:
    """Bind the facts of a carried state, with those of its readouts and penalties together."""
    deciding = judgement.deciding_readouts(state, facts)
    unheard = [r for r in state.readouts if not r.supervised and r.visibility in judgement.SEEING]
    values = _known(
        {
            "state.name": state.name,
            "state.dtype": state.dtype,
            "state.carried_dtype": state.carried_dtype or state.dtype,
            "state.transition": _spelled(state.transition),
            "state.visibility": _spelled(state.visibility),
            "state.weighted_cycle": state.weighted_cycle,
            "state.active": judgement.active(state),
            "state.reaches_loss": judgement.reaches_loss(state),
            "state.blind": judgement.blind(state),
            "state.branch_degree": state.branch_degree,
            "state.writes_bounded": _known_flag(state, holds=state.writes_bounded),
            "state.norm_bypassed": _known_flag(state, holds=state.bypassed_norm is not None),
            "state.growth": wording.growth(state, _radius(state, loop, facts)),
            "readouts.supervised": sum(r.supervised for r in state.readouts),
            "readouts.visibility": judgement.visibilities(state.readouts),
            "readouts.answer": wording.answer(state, deciding),
            "readouts.unsupervised_seeing": judgement.unsupervised_seeing(state),
            "readouts.unsupervised_name": unheard[0].name if unheard else None,
            "penalties.attempted": len(state.penalties),
            "penalties.effective": judgement.effective_penalties(state),
        }
    )
    first = next((r.proof for r in deciding if r.proof), ())
    return Binding(
        subject_of(state, loop),
        values | _gain(state) | _probe(state, loop, facts),
        {
            "state.location": _places(state.location),
            "gain.location": _places(state.gain.location if state.gain else None),
            "branch.location": _places(state.branch_location),
            "norm.location": _places(state.bypassed_norm),
            "readouts.location": _places(*(r.location for r in deciding)),
            "readouts.unsupervised_location": _places(*(r.location for r in unheard)),
        },
        {
            "state.proof": state.transition_proof,
            "readouts.proof": first,
            "readouts.unsupervised_proof": next((r.proof for r in unheard if r.proof), ()),
        },
    )


def of_readout(readout: Readout) -> Binding:
    """Bind the facts of one readout."""
    values = _known(
        {
            "readout.name": readout.name,
            "readout.visibility": _spelled(readout.visibility),
            "readout.supervised": readout.supervised,
            "readout.degree": readout.degree,
            "readout.coverage": readout.coverage,
            "readout.turns": len(readout.turns),
        }
    )
    return Binding(
        "",
        values,
        {"readout.location": _places(readout.location)},
        {"readout.proof": readout.proof},
    )


def of_penalty(penalty: Penalty) -> Binding:
    """Bind the facts of one penalty."""
    unknown = penalty.flaw is PenaltyFlaw.UNKNOWN
    values = _known(
        {
            "penalty.name": penalty.name,
            "penalty.effective": None if unknown else penalty.effective,
            "penalty.flaw": None if unknown or penalty.flaw is None else penalty.flaw.value,
            "penalty.degree": penalty.degree,
            "penalty.why": wording.flaw(penalty),
        }
    )
    return Binding(
        "",
        values,
        {"penalty.location": _places(penalty.location)},
        {"penalty.proof": penalty.proof},
    )


def of_operator(opaque: Opaque, *, decides: bool) -> Binding:
    """Bind the facts of an operator that is not understood."""
    values: dict[str, Value] = {
        "operator.name": opaque.operator,
        "operator.reason": opaque.reason,
        "operator.decides": decides,
    }
    return Binding("", values, {"operator.location": _places(opaque.location)})


def of_claim(disagreement: Disagreement) -> Binding:
    """Bind the facts of a claim that numbers contradict."""
    values: dict[str, Value] = {
        "claim.text": disagreement.claim,
        "claim.operator": disagreement.operator,
        "claim.measured": disagreement.measured,
        "claim.holds": False,
    }
    return Binding("", values, {"claim.location": _places(disagreement.location)})


def of_comment(idle: IdleComment) -> Binding:
    """Bind the facts of a comment that accepts nothing."""
    values: dict[str, Value] = {
        "comment.codes": ", ".join(idle.codes),
        "comment.flaw": idle.flaw.value,
        "comment.why": idle.why,
        "comment.idle": True,
    }
    place = {"comment.location": _places(idle.location)}
    return Binding(f"comment at {idle.location}", values, place)


def _gain(state: StateFacts) -> dict[str, Value]:
    gain = state.gain
    if gain is None:
        known = state.transition is not Transition.UNKNOWN
        return {"state.identity_path": False} if known else {}
    return {
        "state.identity_path": True,
        "state.gain": str(gain),
        "state.gain_low": gain.low,
        "state.gain_high": gain.high,
        "state.gain_low_open": gain.low_open,
        "state.gain_high_open": gain.high_open,
        "state.gain_learned": gain.learned,
    }


def _probe(state: StateFacts, loop: LoopFacts, facts: ScaleFacts) -> dict[str, Value]:
    probed = facts.probe.states if facts.probe else ()
    # States of one name are told apart by their order.
    called = [p for p in probed if (p.state, p.loop) == (state.name, loop.name)]
    alike = [other for other in loop.states if other.name == state.name]
    place = next((i for i, other in enumerate(alike) if other is state), 0)
    found = called[place] if place < len(called) else None
    if found is None:
        return {"probe.ran": False}
    return _known(
        {
            "probe.ran": True,
            "probe.verdict": found.verdict.value,
            "probe.response": found.response,
            "probe.ratio": found.ratio,
            "probe.deeper": found.deeper,
            "probe.numbers": wording.measured(found),
        }
    )


def _radius(state: StateFacts, loop: LoopFacts, facts: ScaleFacts) -> str:
    """Say what the weights do to the length, where they were measured."""
    found = facts.probe.diagnostics if facts.probe else None
    if found is None:
        return ""
    mine = (each for each in found.states if (each.state, each.loop) == (state.name, loop.name))
    return next((wording.radius(each, found.weights) for each in mine), "")


def _known_flag(state: StateFacts, *, holds: bool) -> bool | None:
    """What is not seen in a transition that is not understood may be there all the same."""
    return True if holds else (None if state.transition is Transition.UNKNOWN else False)


def _spelled(choice: Transition | Visibility) -> str | None:
    return None if choice in (Transition.UNKNOWN, Visibility.UNKNOWN) else choice.value


def _known(values: dict[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _places(*locations: Location | None) -> tuple[Location, ...]:
    return tuple(dict.fromkeys(place for place in locations if place is not None))
