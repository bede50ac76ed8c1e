"""Findings: what a rule says of a target, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import ProofStep
from scaleaudit.domain.graph import Location


class Severity(Enum):
    """How much a finding matters; errors fail a run by default."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Confidence(Enum):
    """How sure the analysis is."""

    PROVEN = "proven"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class FixKind(Enum):
    """What a fix does to the model, where a probe trains a twin with the same thing put on it.

    PENALTY: the loss charges for the length of what crosses. NORM_BETWEEN: a norm at the end of
    every turn. RAW_READOUT: a supervised readout reads the state as it is.
    """

    PENALTY = "penalty"
    NORM_BETWEEN = "norm-between"
    RAW_READOUT = "raw-readout"


@dataclass(frozen=True, slots=True)
class Fix:
    """A way out: one sentence, and code to write where it can be said.

    Attributes:
        kind: What it does to the model; None where no twin of a probe is made like it.
        diff: A change of the user's own lines that does it, as a unified diff; empty where none
            can be made safely. It was not applied, nor audited.
        note: What is to be known of the change, or why there is none; empty where nothing is.
    """

    text: str
    code: str = ""
    kind: FixKind | None = None
    diff: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that takes part in the fault."""

    location: Location
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault with its primary location, its proof and its fixes.

    Attributes:
        subject: What it is about ("state x of loop Model.forward"), for grouping.
        fingerprint: Stable identity across moved lines and new names, for baselines; unique
            within its target alone. What it is made of is told in docs/suppression-and-baseline.md.
        anchors: Other places where a comment can accept it: the loop, the state, its readouts.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    message: str
    location: Location | None
    subject: str = ""
    proof: tuple[ProofStep, ...] = ()
    related: tuple[Related, ...] = ()
    fixes: tuple[Fix, ...] = ()
    fingerprint: str = ""
    anchors: tuple[Location, ...] = ()


class SuppressionKind(Enum):
    """Where it is written that a finding is accepted."""

    COMMENT = "comment"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that a team has accepted: told of, but it fails no run.

    Attributes:
        reason: What was written beside it; empty where nothing was.
        location: The comment that accepts it; None where a baseline does.
    """

    finding: Finding
    kind: SuppressionKind
    reason: str = ""
    location: Location | None = None


class CommentFlaw(Enum):
    """Why a comment that is to accept findings accepts none."""

    UNUSED = "unused"
    UNKNOWN_CODE = "unknown code"
    NO_CODE = "no code"
    NOT_SUPPRESSIBLE = "not suppressible"


@dataclass(frozen=True, slots=True)
class IdleComment:
    """A comment that accepts nothing, or codes in it for which it does not.

    Attributes:
        codes: What it names in vain, as written; empty where it names no code.
        why: The flaw in words, to follow "the comment".
    """

    location: Location
    codes: tuple[str, ...]
    flaw: CommentFlaw
    why: str
