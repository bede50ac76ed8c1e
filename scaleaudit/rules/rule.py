"""A rule as its page declares it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaleaudit.domain.facts import ProbeVerdict
from scaleaudit.domain.finding import Fix, Severity
from scaleaudit.domain.report import RuleDocument
from scaleaudit.rules.cel import Condition
from scaleaudit.rules.template import Template
from scaleaudit.rules.vocabulary import Scope


class Status(Enum):
    """How settled a rule is."""

    STABLE = "stable"
    PREVIEW = "preview"
    DEPRECATED = "deprecated"


class Needs(Enum):
    """What the examples of a page need besides the facts that an audit of their code gives."""

    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class RelatedPlace:
    """Other locations to show, with a sentence for them."""

    at: str
    text: Template


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page.

    Attributes:
        line: The line of its first line of code in the page's file.
        probe: The outcome of the training run that it is judged with; None where without one.
    """

    section: str
    line: int
    code: str
    probe: ProbeVerdict | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A loaded rule page.

    Attributes:
        summary: One sentence for lists.
        severity: The severity, unless a condition of ``severity_when`` holds.
        severity_when: Severities with their conditions, most severe first.
        location: Names of location facts; the first that a model has is the primary one.
        proof: Names of proof facts, shown one after the other.
        page: The page as Markdown, without its front matter.
        path: The file that it was read from.
        needs: What its examples need; None where an audit is enough.
    """

    code: str
    name: str
    summary: str
    severity: Severity
    status: Status
    since: str
    scope: Scope
    when: Condition
    message: Template
    location: tuple[str, ...]
    references: tuple[str, ...]
    page: str
    path: str
    severity_when: tuple[tuple[Severity, Condition], ...] = ()
    proof: tuple[str, ...] = ()
    related: tuple[RelatedPlace, ...] = ()
    fixes: tuple[Fix, ...] = ()
    blocks: tuple[Block, ...] = ()
    needs: Needs | None = None

    @property
    def document(self) -> RuleDocument:
        """What a report says of the rule."""
        return RuleDocument(
            code=self.code,
            name=self.name,
            summary=self.summary,
            severity=self.severity,
            status=self.status.value,
            since=self.since,
            help=self.page,
            path=self.path,
            references=self.references,
        )
