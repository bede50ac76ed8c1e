"""What changed from one audit of a target to another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.finding import Finding
from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Verdict


class Effect(Enum):
    """Which way a change goes, for the length of the states."""

    WORSE = "worse"
    BETTER = "better"
    NEUTRAL = "neutral"


class FindingStatus(Enum):
    """What became of a finding."""

    NEW = "new"
    FIXED = "fixed"
    CHANGED = "changed"
    ACCEPTED = "accepted"
    NO_LONGER_ACCEPTED = "no longer accepted"


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact that is another one now, in one sentence.

    Attributes:
        location: Where it stands now; where it stood, if it is gone.
    """

    text: str
    effect: Effect = Effect.NEUTRAL
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding that came, went, or is another one now.

    Attributes:
        finding: As it is now; as it was, if it is gone.
        before: As it was, where it was and still is.
    """

    status: FindingStatus
    finding: Finding
    before: Finding | None = None


@dataclass(frozen=True, slots=True)
class TargetChange:
    """A target before and after; a verdict is None where there was no such target."""

    path: str
    name: str
    before: Verdict | None
    after: Verdict | None
    facts: tuple[FactChange, ...] = ()
    findings: tuple[FindingChange, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.facts or self.findings or self.before is not self.after)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two audits held against each other.

    Attributes:
        before: What the first was of, in words.
        after: What the second was of.
        notes: What makes them hard to compare: other rules, another version.
    """

    before: str
    after: str
    targets: tuple[TargetChange, ...]
    notes: tuple[str, ...] = ()
