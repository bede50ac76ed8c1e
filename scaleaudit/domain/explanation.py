"""A finding with everything that is known of its fault, and what would become of it."""

from __future__ import annotations

from dataclasses import dataclass

from scaleaudit.domain.facts import LoopFacts, StateFacts
from scaleaudit.domain.finding import Finding, Suppressed
from scaleaudit.domain.report import TargetReport, Verdict


@dataclass(frozen=True, slots=True)
class Match:
    """A finding of a report that somebody asks about.

    Attributes:
        accepted: How it is accepted, where it is.
    """

    target: TargetReport
    finding: Finding
    accepted: Suppressed | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule asks, and what the facts that it names are.

    Attributes:
        source: The condition as the rule's page has it.
        values: Facts by name, as the rule saw them.
    """

    source: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A change of the model, and what the rules would say of it.

    Attributes:
        text: The change, as a clause that a sentence can start with.
        facts: Which facts change, as "transition: carried -> removed".
        silences: Whether the finding would be gone.
        verdict: The verdict of the target then.
        others: What would be found of the same subject then, by code.
    """

    text: str
    facts: tuple[str, ...]
    silences: bool
    verdict: Verdict
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A finding with its state, the question that was asked, and what would change the answer.

    Attributes:
        loop: The loop of the state that it is about, where it is about one.
        also: Other targets that have the very same finding.
    """

    match: Match
    condition: Condition | None = None
    loop: LoopFacts | None = None
    state: StateFacts | None = None
    what_ifs: tuple[WhatIf, ...] = ()
    also: tuple[str, ...] = ()
