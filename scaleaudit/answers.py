"""What a child answers: the targets of a file, and facts or trouble of one."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.attempts import Failure
from scaleaudit.domain.facts import ScaleFacts
from scaleaudit.domain.plans import Plan
from scaleaudit.isolation.jobs import Trouble


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a child found out of a target: its readable name, and facts or trouble.

    Attributes:
        failure: Beside a trouble that another attempt may not meet.
    """

    name: str
    facts: ScaleFacts | None = None
    trouble: Trouble | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A model that could not be built or called.

    Attributes:
        whole: Whether it is made of other models of the file, so that it counts as one itself.
    """

    name: str
    trouble: Trouble
    whole: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file declares; one target comes audited, which saves a child.

    Attributes:
        plans: Targets that were found by trying, or that the project's settings declare.
        given_up: Models that were met and could not be built or called.
    """

    names: tuple[str, ...] = ()
    only: TargetFacts | None = None
    plans: tuple[Plan, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
