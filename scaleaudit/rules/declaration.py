"""From the fields of a front matter to a rule; every field is checked and none may be unknown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from scaleaudit.domain.finding import Fix, FixKind, Severity
from scaleaudit.errors import RuleError
from scaleaudit.rules import frontmatter, template
from scaleaudit.rules.cel import CelError, Condition
from scaleaudit.rules.frontmatter import Entry, Fields, Items, Text
from scaleaudit.rules.page import Page
from scaleaudit.rules.rule import Needs, RelatedPlace, Rule, Status
from scaleaudit.rules.template import Template, TemplateError
from scaleaudit.rules.vocabulary import Scope, facts_of, locations_of, proofs_of, vocabulary_of

_REQUIRED = (
    "code",
    "name",
    "summary",
    "severity",
    "status",
    "since",
    "scope",
    "when",
    "message",
    "location",
    "references",
)
_OPTIONAL = ("severity-when", "proof", "related", "fixes", "needs")
_CODE = re.compile(r"[A-Z]{2,8}[0-9]{3}")
_A_CODE, _A_NAME = "letters and three digits, as SCL101", "lower-case words joined by hyphens"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SINCE = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,5}")
_UNDECLARED = re.compile(r"undeclared reference to '([\w.]+)'")

_LONGEST_SENTENCE = 2_000  # characters; the longest of ours has some 400

# What the codes of the shipped rules start with.
RESERVED = "SCL"

_Choice = TypeVar("_Choice", bound=Enum)


def declare(page: Page, path: str) -> Rule:
    """Read the front matter of a page.

    Raises:
        RuleError: For a missing, unknown or wrong field, a condition that does not compile, a
            fact that does not exist.
    """
    reader = _Reader(frontmatter.parse(page.front, path, first_line=2), path)
    reader.known(_REQUIRED, _OPTIONAL)
    scope = reader.choice("scope", Scope)
    return Rule(
        code=reader.matching("code", _CODE, _A_CODE),
        name=reader.matching("name", _NAME, _A_NAME),
        summary=reader.text("summary").value,
        severity=reader.choice("severity", Severity),
        status=reader.choice("status", Status),
        since=reader.matching("since", _SINCE, "a version, as 0.1.0"),
        scope=scope,
        when=reader.condition(reader.text("when"), scope),
        message=reader.template(reader.text("message"), scope),
        location=reader.places("location", locations_of(scope)),
        references=tuple(item.value for item in reader.texts("references")),
        page=page.body,
        path=path,
        severity_when=reader.severities(scope),
        proof=reader.places("proof", proofs_of(scope)),
        related=reader.related(scope),
        fixes=reader.fixes(),
        blocks=page.blocks,
        needs=reader.choice("needs", Needs) if reader.has("needs") else None,
    )


def check_names(code: str, name: str) -> None:
    """Demand a code and a name that a page of a team's own may have.

    Raises:
        RuleError: One of them is not in the form of its kind, or the code is kept for others.
    """
    if not _CODE.fullmatch(code):
        raise RuleError(f"the code {code!r} is not {_A_CODE}", hint="Write it as ACME101.")
    if code.startswith(RESERVED):
        raise RuleError(
            f"codes that start with {RESERVED} are kept for the shipped rules",
            hint="Pick letters of your own, as ACME101.",
        )
    if not _NAME.fullmatch(name):
        raise RuleError(f"the name {name!r} is not {_A_NAME}", hint="Write it as half-precision.")


class _Reader:
    """The fields of one front matter, read with checks."""

    def __init__(self, front: Fields, path: str) -> None:
        self._front = front
        self._path = path

    def known(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """Refuse unknown fields and missing ones."""
        self._only(self._front, required, optional)

    def has(self, field: str) -> bool:
        """Whether a field is there."""
        return field in self._front.fields

    def text(self, field: str) -> Text:
        """A field that is text and not empty."""
        return self._as_text(self._front.fields[field], f"`{field}`")

    def texts(self, field: str) -> tuple[Text, ...]:
        """A field that is text or a list of texts; empty where it is absent."""
        entry = self._front.fields.get(field)
        if entry is None:
            return ()
        items = entry.items if isinstance(entry, Items) else (entry,)
        if not items:
            raise self._refused(entry.line, f"`{field}` is empty")
        return tuple(self._as_text(item, f"`{field}`") for item in items)

    def matching(self, field: str, pattern: re.Pattern[str], expected: str) -> str:
        """A field in a fixed form."""
        text = self.text(field)
        if not pattern.fullmatch(text.value):
            raise self._refused(text.line, f"`{field}: {text.value}` is not {expected}")
        return text.value

    def choice(self, field: str, choices: type[_Choice]) -> _Choice:
        """A field that is one of a few words."""
        return self._choice(self.text(field), field, choices)

    def places(self, field: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """A field that names locations or proofs."""
        for text in self.texts(field):
            if text.value not in known:
                raise self._unknown_name(text.line, field, text.value, known)
        return tuple(text.value for text in self.texts(field))

    def severities(self, scope: Scope) -> tuple[tuple[Severity, Condition], ...]:
        """The field ``severity-when``: severities with conditions, most severe first."""
        entry = self._front.fields.get("severity-when")
        if entry is None:
            return ()
        if not isinstance(entry, Fields):
            raise self._refused(entry.line, "`severity-when` is no mapping")
        found = {}
        for name, condition in entry.fields.items():
            severity = self._choice(Text(entry.lines[name], name), "severity-when", Severity)
            text = self._as_text(condition, f"`severity-when: {name}`")
            found[severity] = self.condition(text, scope)
        return tuple((severity, found[severity]) for severity in Severity if severity in found)

    def related(self, scope: Scope) -> tuple[RelatedPlace, ...]:
        """The field ``related``: other locations, each with a sentence."""
        found = []
        for fields in self._mappings("related", ("at", "text"), ()):
            at = self._as_text(fields.fields["at"], "`at`")
            if at.value not in locations_of(scope):
                raise self._unknown_name(at.line, "at", at.value, locations_of(scope))
            sentence = self._as_text(fields.fields["text"], "`text`")
            found.append(RelatedPlace(at.value, self.template(sentence, scope)))
        return tuple(found)

    def fixes(self) -> tuple[Fix, ...]:
        """The field ``fixes``: a sentence each, code, and a kind; the same for every model."""
        found = []
        for fields in self._mappings("fixes", ("text",), ("code", "kind")):
            sentence = self._as_text(fields.fields["text"], "`text`").value
            code, kind = fields.fields.get("code"), fields.fields.get("kind")
            written = self._as_text(code, "`code`").value.rstrip() if code is not None else ""
            named = self._as_text(kind, "`kind`") if kind is not None else None
            chosen = self._choice(named, "kind", FixKind) if named is not None else None
            found.append(Fix(" ".join(sentence.split()), written, chosen))
        return tuple(found)

    def template(self, text: Text, scope: Scope) -> Template:
        """A sentence whose facts all exist."""
        if len(text.value) > _LONGEST_SENTENCE:
            message = f"the sentence is longer than {_LONGEST_SENTENCE} characters"
            raise self._refused(text.line, message)
        try:
            parsed = template.parse(text.value)
        except TemplateError as error:
            raise self._refused(text.line, str(error)) from None
        for name in parsed.mentions:
            if name not in facts_of(scope):
                raise self._unknown_name(text.line, "message", name, facts_of(scope))
        return parsed

    def condition(self, text: Text, scope: Scope) -> Condition:
        """A condition that compiles, names facts that exist and values that they can take."""
        try:
            condition = vocabulary_of(scope).compile(text.value)
        except CelError as error:
            line = text.line + (error.line - 1 if text.keeps_lines else 0)
            hint = ""
            if match := _UNDECLARED.search(error.message):
                hint = _nearest(match.group(1), facts_of(scope))
            raise self._refused(line, error.message, hint) from None
        if not condition.mentions:
            raise self._refused(text.line, "the condition names no fact")
        self._check_values(condition, text, scope)
        return condition

    def _check_values(self, condition: Condition, text: Text, scope: Scope) -> None:
        facts = [facts_of(scope)[name] for name in condition.mentions]
        choices = {choice for fact in facts for choice in fact.choices}
        free = any("TEXT" in fact.kind.name and not fact.choices for fact in facts)
        for literal in condition.literals:
            if not free and literal not in choices:
                hint = _nearest(literal, choices)
                raise self._refused(text.line, f"no fact here can be '{literal}'", hint)
        for fact in facts:
            if (
                f"{fact.name}.all(" in condition.source
                and fact.counted_by not in condition.mentions
            ):
                message = f"`all` over nothing is true: ask for `{fact.counted_by} > 0` as well"
                raise self._refused(text.line, message)

    def _mappings(
        self, field: str, required: Iterable[str], optional: Iterable[str]
    ) -> Iterable[Fields]:
        entry = self._front.fields.get(field)
        if entry is None:
            return
        if not isinstance(entry, Items):
            raise self._refused(entry.line, f"`{field}` is no list")
        for item in entry.items:
            if not isinstance(item, Fields):
                raise self._refused(item.line, f"an entry of `{field}` is no mapping")
            self._only(item, required, optional)
            yield item

    def _only(self, fields: Fields, required: Iterable[str], optional: Iterable[str]) -> None:
        known = (*required, *optional)
        for name, line in fields.lines.items():
            if name not in known:
                raise self._unknown_name(line, "field", name, known)
        for name in required:
            if name not in fields.fields:
                raise self._refused(fields.line, f"the field `{name}` is missing")

    def _choice(self, text: Text, field: str, choices: type[_Choice]) -> _Choice:
        for choice in choices:
            if choice.value == text.value:
                return choice
        known = ", ".join(str(choice.value) for choice in choices)
        raise self._refused(text.line, f"`{field}: {text.value}` is none of {known}")

    def _as_text(self, entry: Entry, what: str) -> Text:
        if not isinstance(entry, Text):
            raise self._refused(entry.line, f"{what} is no text")
        if not entry.value.strip():
            raise self._refused(entry.line, f"{what} is empty")
        return entry

    def _unknown_name(self, line: int, what: str, name: str, known: Iterable[str]) -> RuleError:
        hint = _nearest(name, known)
        return self._refused(line, f"{what}: there is no `{name}` here", hint)

    def _refused(self, line: int, message: str, hint: str = "") -> RuleError:
        return RuleError(message, where=f"{self._path}:{line}", hint=hint)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean `{near[0]}`?" if near else ""
