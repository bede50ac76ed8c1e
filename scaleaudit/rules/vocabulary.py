"""Every fact that a rule page may name, declared once with its type and its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from scaleaudit.domain.facts import PenaltyFlaw, ProbeVerdict, Transition, Visibility
from scaleaudit.domain.finding import CommentFlaw
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.rules.cel import Kind, Vocabulary


class Scope(Enum):
    """What a rule is asked of, once each; a scope knows the facts of those around it."""

    TARGET = "target"
    LOOP = "loop"
    STATE = "state"
    READOUT = "readout"
    PENALTY = "penalty"
    OPERATOR = "operator"
    CLAIM = "claim"
    COMMENT = "comment"


_AROUND: dict[Scope, tuple[Scope, ...]] = {
    Scope.TARGET: (Scope.TARGET,),
    Scope.LOOP: (Scope.TARGET, Scope.LOOP),
    Scope.STATE: (Scope.TARGET, Scope.LOOP, Scope.STATE),
    Scope.READOUT: (Scope.TARGET, Scope.LOOP, Scope.STATE, Scope.READOUT),
    Scope.PENALTY: (Scope.TARGET, Scope.LOOP, Scope.STATE, Scope.PENALTY),
    Scope.OPERATOR: (Scope.TARGET, Scope.LOOP, Scope.STATE, Scope.OPERATOR),
    Scope.CLAIM: (Scope.TARGET, Scope.CLAIM),
    Scope.COMMENT: (Scope.COMMENT,),
}

VISIBILITIES = tuple(v.value for v in Visibility if v is not Visibility.UNKNOWN)
TRANSITIONS = tuple(t.value for t in Transition if t is not Transition.UNKNOWN)
COUNTS = tuple(t.value for t in TurnsFrom)
OUTCOMES = tuple(v.value for v in ProbeVerdict)
COMMENT_FLAWS = tuple(f.value for f in CommentFlaw)
FLAWS = tuple(f.value for f in PenaltyFlaw if f is not PenaltyFlaw.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that conditions and messages can name.

    Attributes:
        choices: All the values that it can take, where they are few; unknown is none of them.
        counted_by: For a list, the fact that says how long it is, since ``all`` over an empty
            list is true.
    """

    name: str
    kind: Kind
    scope: Scope
    meaning: str
    choices: tuple[str, ...] = ()
    counted_by: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A location or a proof that a page can name; both may be empty for a given model."""

    name: str
    scope: Scope
    meaning: str


_TARGET, _LOOP, _STATE = Scope.TARGET, Scope.LOOP, Scope.STATE
_READOUT, _PENALTY, _OPERATOR = Scope.READOUT, Scope.PENALTY, Scope.OPERATOR
_CLAIM, _COMMENT = Scope.CLAIM, Scope.COMMENT
_BOOL, _INT, _DOUBLE, _TEXT, _TEXTS = Kind.BOOL, Kind.INT, Kind.DOUBLE, Kind.TEXT, Kind.TEXTS

FACTS = (
    Fact("target.name", _TEXT, _TARGET, "Name of the target in its file."),
    Fact("target.audited", _BOOL, _TARGET, "Whether it could be built, captured and analysed."),
    Fact("target.error", _TEXT, _TARGET, "Why it could not; absent where it could."),
    Fact("target.loops", _INT, _TARGET, "Number of weight-tied loops."),
    Fact("target.loss_found", _BOOL, _TARGET, "Whether a loss was given, or found in the output."),
    Fact("target.operators", _INT, _TARGET, "Number of operators in the captured program."),
    Fact("target.unknown_operators", _INT, _TARGET, "Number of operators without a law."),
    Fact("loop.name", _TEXT, _LOOP, "Where the loop stands."),
    Fact("loop.turns", _INT, _LOOP, "How often the body ran in the captured program."),
    Fact(
        "loop.turns_from",
        _TEXT,
        _LOOP,
        "What decides how often it turns: a number in the code or in the model, an argument of the "
        "model's call, a number drawn at random, or the shape of the data. Absent where the source "
        "does not tell.",
        COUNTS,
    ),
    Fact("loop.states", _INT, _LOOP, "Number of states that the loop carries."),
    Fact("state.name", _TEXT, _STATE, "The user's variable, else a description."),
    Fact("state.dtype", _TEXT, _STATE, "Its dtype at the loop's boundary, as `float32`."),
    Fact(
        "state.carried_dtype",
        _TEXT,
        _STATE,
        "The narrowest dtype that its length passes on its way through a turn: a sum in `bfloat16` "
        "whose result is cast to `float32` is `bfloat16`.",
    ),
    Fact(
        "state.transition",
        _TEXT,
        _STATE,
        "What one turn does to its length.",
        TRANSITIONS,
    ),
    Fact(
        "state.visibility",
        _TEXT,
        _STATE,
        "What the loss as a whole sees of its length, penalties aside, where it is read least. "
        "A state read only through another one has that one's.",
        VISIBILITIES,
    ),
    Fact("state.weighted_cycle", _BOOL, _STATE, "Whether weights lie on the way around the loop."),
    Fact(
        "state.active",
        _BOOL,
        _STATE,
        "Nothing in the loop stops its length: the cycle holds weights, and the transition is "
        "carried, expanding, or linear with no bound below 1.",
    ),
    Fact(
        "state.reaches_loss",
        _BOOL,
        _STATE,
        "Whether the loss reads it with a gradient, directly or through another state.",
    ),
    Fact(
        "state.blind",
        _BOOL,
        _STATE,
        "It reaches the loss, its visibility is invariant or asymptotic, and no penalty is "
        "effective.",
    ),
    Fact("state.identity_path", _BOOL, _STATE, "Whether a turn hands it on by a factor of itself."),
    Fact("state.gain", _TEXT, _STATE, "The factor on the identity path, written as an interval."),
    Fact("state.gain_low", _DOUBLE, _STATE, "Lower end of that interval."),
    Fact("state.gain_high", _DOUBLE, _STATE, "Upper end of that interval."),
    Fact("state.gain_low_open", _BOOL, _STATE, "Whether the lower end is never reached."),
    Fact("state.gain_high_open", _BOOL, _STATE, "Whether the upper end is never reached."),
    Fact("state.gain_learned", _BOOL, _STATE, "Whether a parameter sets the factor."),
    Fact(
        "state.branch_degree",
        _DOUBLE,
        _STATE,
        "Largest degree, in the state, of what a turn adds beside the identity path.",
    ),
    Fact(
        "state.writes_bounded",
        _BOOL,
        _STATE,
        "Whether what a turn writes is bounded by construction, for any weights.",
    ),
    Fact(
        "state.norm_bypassed",
        _BOOL,
        _STATE,
        "Whether a skip path carries raw scale around a norm that lies on the loop.",
    ),
    Fact("state.growth", _TEXT, _STATE, "The transition with its numbers, in words."),
    Fact("readouts.supervised", _INT, _STATE, "Number of readouts of the state in the loss."),
    Fact(
        "readouts.visibility",
        _TEXTS,
        _STATE,
        "Visibility of each of these. Absent where one is unknown and none is visible; with a "
        "visible one the unknown ones are left out.",
        VISIBILITIES,
        counted_by="readouts.supervised",
    ),
    Fact("readouts.answer", _TEXT, _STATE, "How the loss answers to the length, in words."),
    Fact(
        "readouts.unsupervised_seeing",
        _INT,
        _STATE,
        "Number of readouts that see the length (visible or saturating) and reach no loss.",
    ),
    Fact("readouts.unsupervised_name", _TEXT, _STATE, "Name of the first of these."),
    Fact("penalties.attempted", _INT, _STATE, "Number of norm terms in the loss on this state."),
    Fact(
        "penalties.effective",
        _INT,
        _STATE,
        "Number of those that restrain the whole state. Absent where one is unknown and none is "
        "effective.",
    ),
    Fact("probe.ran", _BOOL, _STATE, "Whether a training run measured this state; always known."),
    Fact("probe.verdict", _TEXT, _STATE, "What it showed; absent where none was made.", OUTCOMES),
    Fact(
        "probe.response",
        _DOUBLE,
        _STATE,
        "Relative change of the objective as the state is scaled from 1e2 to 1e4.",
    ),
    Fact("probe.ratio", _DOUBLE, _STATE, "Its norm after training, over that of the twin."),
    Fact("probe.deeper", _DOUBLE, _STATE, "Factor on its norm at four times the turns."),
    Fact("probe.numbers", _TEXT, _STATE, "What was measured, in words."),
    Fact("readout.name", _TEXT, _READOUT, "Name of the readout."),
    Fact(
        "readout.visibility",
        _TEXT,
        _READOUT,
        "How it answers to the length.",
        VISIBILITIES,
    ),
    Fact("readout.supervised", _BOOL, _READOUT, "Whether it is in the loss with a gradient."),
    Fact("readout.degree", _DOUBLE, _READOUT, "Its degree in the state."),
    Fact("readout.coverage", _DOUBLE, _READOUT, "Share of the state's positions that it reads."),
    Fact("readout.turns", _INT, _READOUT, "Number of turns whose states it reads."),
    Fact("penalty.name", _TEXT, _PENALTY, "Name of the penalty."),
    Fact("penalty.effective", _BOOL, _PENALTY, "Whether it restrains the whole state."),
    Fact("penalty.flaw", _TEXT, _PENALTY, "Why it does not; absent where it does.", FLAWS),
    Fact("penalty.degree", _DOUBLE, _PENALTY, "Its degree in the state."),
    Fact("penalty.why", _TEXT, _PENALTY, "The flaw, in words."),
    Fact("operator.name", _TEXT, _OPERATOR, "An operator that is not understood."),
    Fact("operator.reason", _TEXT, _OPERATOR, "Why it is not."),
    Fact("operator.decides", _BOOL, _OPERATOR, "Whether the verdict of the state hangs on it."),
    Fact("claim.text", _TEXT, _CLAIM, "What the analysis says that numbers were held against."),
    Fact("claim.operator", _TEXT, _CLAIM, "The operator whose value it is about."),
    Fact("claim.measured", _TEXT, _CLAIM, "What the numbers say instead."),
    Fact("claim.holds", _BOOL, _CLAIM, "Whether the numbers agree; those that do are not listed."),
    Fact("comment.idle", _BOOL, _COMMENT, "Whether it accepts nothing; others are not listed."),
    Fact("comment.codes", _TEXT, _COMMENT, "The codes that it names in vain."),
    Fact("comment.flaw", _TEXT, _COMMENT, "Why it accepts nothing.", COMMENT_FLAWS),
    Fact("comment.why", _TEXT, _COMMENT, "The flaw, in words."),
)

LOCATIONS = (
    Place("target.location", _TARGET, "The file, or the line at which the target failed."),
    Place("loop.location", _LOOP, "The loop."),
    Place("state.location", _STATE, "The line that hands the state to the next turn."),
    Place("gain.location", _STATE, "The line of the factor on the identity path."),
    Place("branch.location", _STATE, "The line that makes what a turn adds."),
    Place("norm.location", _STATE, "The line of a norm that a skip path goes around."),
    Place("readouts.location", _STATE, "The readouts that decide the state's visibility."),
    Place("readouts.unsupervised_location", _STATE, "The readouts that see it outside the loss."),
    Place("readout.location", _READOUT, "The readout."),
    Place("penalty.location", _PENALTY, "The penalty."),
    Place("operator.location", _OPERATOR, "The operator."),
    Place("comment.location", _COMMENT, "The comment."),
    Place("claim.location", _CLAIM, "The line of the value that the claim is about."),
)

PROOFS = (
    Place("state.proof", _STATE, "From the state at one boundary to the next."),
    Place("readouts.proof", _STATE, "From the state to the loss, by the most convincing readout."),
    Place("readouts.unsupervised_proof", _STATE, "From the state to a readout outside the loss."),
    Place("readout.proof", _READOUT, "From the state to the readout."),
    Place("penalty.proof", _PENALTY, "From the state to the penalty."),
)


def facts_of(scope: Scope) -> dict[str, Fact]:
    """Return the facts that a rule of this scope may name."""
    return {fact.name: fact for fact in FACTS if fact.scope in _AROUND[scope]}


def locations_of(scope: Scope) -> tuple[str, ...]:
    """Return the locations that a rule of this scope may name."""
    return tuple(place.name for place in LOCATIONS if place.scope in _AROUND[scope])


def proofs_of(scope: Scope) -> tuple[str, ...]:
    """Return the proofs that a rule of this scope may name."""
    return tuple(place.name for place in PROOFS if place.scope in _AROUND[scope])


@cache
def vocabulary_of(scope: Scope) -> Vocabulary:
    """Return the compiler for conditions of this scope."""
    return Vocabulary({name: fact.kind for name, fact in facts_of(scope).items()})
