"""What the analysis knows of a target: transitions, readouts, penalties, each with its proof."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.diagnostics import Diagnostics
from scaleaudit.domain.footholds import Handover, NormCall
from scaleaudit.domain.graph import Location, Note, NoteKind
from scaleaudit.domain.laws import DeclaredLaw
from scaleaudit.domain.loops import TurnsFrom
from scaleaudit.domain.picture import Picture
from scaleaudit.domain.probing import TrainingRun


class Visibility(Enum):
    """How a value answers when every carried state is scaled by a > 0."""

    INVARIANT = "invariant"
    ASYMPTOTIC = "asymptotic"
    SATURATING = "saturating"
    VISIBLE = "visible"
    UNKNOWN = "unknown"


class Transition(Enum):
    """What one turn of a loop does to the length of a state."""

    CARRIED = "carried"
    EXPANDING = "expanding"
    DAMPED = "damped"
    LINEAR = "linear"
    REMOVED = "removed"
    BOUNDED = "bounded"
    UNKNOWN = "unknown"


class Outcome(Enum):
    """How certification ended."""

    CERTIFIED = "certified"
    NOT_CERTIFIED = "not certified"
    REFUTED = "refuted"


class PenaltyFlaw(Enum):
    """Why a norm term in the loss restrains nothing."""

    DETACHED = "detached"
    NO_GRAD = "computed under no_grad"
    ZERO_WEIGHT = "zero weight"
    NEGATIVE_WEIGHT = "negative weight"
    REWARDING = "falls as the length grows"
    SCALE_FREE = "scale-free"
    SATURATING = "saturating"
    PARTIAL = "covers only a part of the state"
    UNKNOWN = "unknown sign or operator"


class LossSource(Enum):
    """Where the loss of a target comes from."""

    GIVEN = "given"
    FOUND = "found"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ProofStep:
    """A step of the path from a state: where, which operator, what became of the degree.

    Attributes:
        degree: Degree after the step in powers of a; None where it has none (unknown).
        text: One short sentence for people, without the location.
    """

    location: Location | None
    operator: str
    degree: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """An operator that the analysis does not understand."""

    operator: str
    location: Location | None
    reason: str


@dataclass(frozen=True, slots=True)
class Gain:
    """Interval of the factor on the identity path; open ends are never reached.

    Attributes:
        learned: Whether a parameter sets the factor.
        location: The line where the factor is applied.
    """

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    learned: bool = False
    location: Location | None = None

    def __str__(self) -> str:
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True, slots=True)
class Readout:
    """A value decoded from a state: a loss term, or a projection that reaches no loss.

    Attributes:
        degree: Degree of the value under scaling of the state; None where unknown.
        supervised: Whether it is in the loss with a gradient path to the state.
        turns: The turns (1 to K) whose states it reads.
        coverage: Share of the state's positions that it reads, 0 to 1; None where unknown.
        location: The line of the last projection before the loss, else of the loss term.
        up_to_eps: Whether the invariance holds for lengths above a norm's eps only.
        norms: The expressions, innermost first, that norm the state for it and do nothing else.
    """

    name: str
    visibility: Visibility
    degree: float | None
    supervised: bool
    turns: tuple[int, ...]
    location: Location | None
    proof: tuple[ProofStep, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    coverage: float | None = 1.0
    up_to_eps: bool = False
    norms: tuple[NormCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Penalty:
    """A norm term in the loss; effective ones have no flaw.

    Attributes:
        opaque: Operators that keep it from being known whether it restrains anything.
    """

    name: str
    degree: float | None
    location: Location | None
    flaw: PenaltyFlaw | None = None
    proof: tuple[ProofStep, ...] = ()
    opaque: tuple[Opaque, ...] = ()

    @property
    def effective(self) -> bool:
        """Whether it makes the length of the state visible to the loss."""
        return self.flaw is None


@dataclass(frozen=True, slots=True)
class StateFacts:
    """All that is known of one carried state.

    Attributes:
        shape: Shape of the state at the boundary.
        dtype: Its dtype there, as 'float32'.
        visibility: What the loss as a whole sees of its length, penalties aside: the most
            visible of the supervised readouts, judged where the state is read least.
        gain: Factor on the identity path; None where there is no identity path.
        branch_degree: Largest degree among what a turn adds beside the identity path.
        branch_location: The line that produces that part.
        writes_bounded: Whether what a turn writes is bounded by construction, for any weights.
        bypassed_norm: The line of a norm on the loop that a raw skip path goes around.
        transition_proof: From the state at one boundary to the next.
        opaque: Operators that keep the transition from being known.
        seen_through: Other states through which alone this one reaches the loss.
        carried_dtype: The narrowest dtype that its length passes on the way around; empty where
            that was not asked.
        period: How many turns there are to every one that forgets the length or bounds it.
        handover: Where the loop's own function makes what crosses; None where that differs from
            turn to turn.
        picture: Its loop in a few boxes; None where none was drawn up.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    location: Location | None
    transition: Transition
    visibility: Visibility
    readouts: tuple[Readout, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    gain: Gain | None = None
    branch_degree: float | None = None
    branch_location: Location | None = None
    writes_bounded: bool = False
    bypassed_norm: Location | None = None
    transition_proof: tuple[ProofStep, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    seen_through: tuple[str, ...] = ()
    weighted_cycle: bool = True
    carried_dtype: str = ""
    period: int = 1
    handover: Handover | None = None
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """A loop and its states.

    Attributes:
        turns_from: What decides how often it turns; None where that is not known.
    """

    name: str
    turns: int
    location: Location | None
    states: tuple[StateFacts, ...]
    turns_from: TurnsFrom | None = None


def subject_of(state: StateFacts, loop: LoopFacts) -> str:
    """Name a state as findings do that are about it."""
    return f"state `{state.name}` of loop `{loop.name}`"


@dataclass(frozen=True, slots=True)
class Supervision:
    """What counted as trained on.

    Attributes:
        name: The name of the loss in the output, where it was found there.
        outputs: Without a loss, the outputs that were taken as supervised.
    """

    loss: LossSource = LossSource.MISSING
    name: str = ""
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the program was understood, and what was assumed of the rest.

    Attributes:
        operators: How many calls of operators were seen.
        unknown: Every operator that is not understood, a line each.
        distinct: How many different operators were seen.
        deciding: Those of the unknown ones that the verdict hangs on.
        declared: The laws that users declared and that the analysis went by.
    """

    operators: int
    unknown: tuple[Opaque, ...] = ()
    notes: tuple[Note, ...] = ()
    distinct: int = 0
    deciding: tuple[Opaque, ...] = ()
    supervision: Supervision = Supervision()
    declared: tuple[DeclaredLaw, ...] = ()

    @property
    def branches(self) -> tuple[Note, ...]:
        """What was assumed of values that capture does not compute."""
        return tuple(note for note in self.notes if note.kind is NoteKind.ORACLE)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A claim of the analysis that numbers contradict.

    Attributes:
        claim: What was said, of what.
        measured: What the numbers say instead.
    """

    operator: str
    location: Location | None
    claim: str
    measured: str


@dataclass(frozen=True, slots=True)
class Certification:
    """The outcome of holding the analysis against numbers.

    Attributes:
        compared: How many values, turns and loss terms were held against numbers.
        untold: How many more told nothing: not finite, or lost in rounding.
        reasons: What could not be measured, and why.
    """

    outcome: Outcome
    compared: int = 0
    untold: int = 0
    reasons: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()


class ProbeVerdict(Enum):
    """What a short training run says of a state whose length may grow."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class StateProbe:
    """What training showed of one state. Numbers that were not measured are None.

    Attributes:
        state: Name of the state.
        loop: Name of its loop.
        response: Relative change of the objective as the state is scaled from 1e2 to 1e4.
        norm: Its mean norm per token after the last turn, when training ended.
        twin: The fix that its twin was trained with, in words.
        twin_norm: The same norm in the twin.
        deeper: Factor on the norm when the loop is run to four times its turns.
        reason: Why the outcome is inconclusive, and what would settle it.
        ratios: The norm over that of the twin, seed by seed; ``norm`` and ``twin_norm`` are means.
        deepers: The factor at four times the turns, seed by seed.
        steps: Steps of training that these numbers are of; 0 where it was not trained.
        directions: Where the objective sees the length, the share of the state's directions that it sees
            it along.
    """

    state: str
    loop: str
    verdict: ProbeVerdict
    response: float | None = None
    norm: float | None = None
    twin: str = ""
    twin_norm: float | None = None
    deeper: float | None = None
    reason: str = ""
    ratios: tuple[float, ...] = ()
    deepers: tuple[float, ...] = ()
    steps: int = 0
    directions: float | None = None

    @property
    def ratio(self) -> float | None:
        """The norm over that of the twin."""
        return self.norm / self.twin_norm if self.norm is not None and self.twin_norm else None


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """A short training run of the target, and what it showed of every state.

    Attributes:
        verdict: That of the states together: confirmed by one, refuted by all.
        steps: Steps of training a run, but for those that a state was left open by and trained longer.
        seeds: How many seeds were run.
        diagnostics: What the weights say without training; None where that was not asked for.
        reason: Why nothing could be said of any state, and what would settle it.
        recipe: How it was trained, as pairs of words: device, precision, learning rate, data.
        runs: What every run went through.
        notes: What a reader of the verdict should know.
        seconds: How long it took.
    """

    verdict: ProbeVerdict
    states: tuple[StateProbe, ...] = ()
    steps: int = 0
    seeds: int = 0
    diagnostics: Diagnostics | None = None
    reason: str = ""
    recipe: tuple[tuple[str, str], ...] = ()
    runs: tuple[TrainingRun, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ScaleFacts:
    """The outcome of the analysis of one target.

    Attributes:
        loss_found: Whether a loss was given or found; else outputs were taken as supervised.
        certification: How the facts were held against numbers; None where that was not asked for.
        probe: What a training run showed; None where none was made.
    """

    loops: tuple[LoopFacts, ...]
    coverage: Coverage
    loss_found: bool
    certification: Certification | None = None
    probe: ProbeOutcome | None = None
