"""Which rules a run applies, and what is said where a selection does less than it seems to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rule_support import RULES

from scaleaudit.choosing import RuleBook
from scaleaudit.config import Settings
from scaleaudit.domain.selection import ALWAYS_REPORTED, Choice, Selection
from scaleaudit.rules.rule import Status
from scaleaudit.rules.selection import in_force, warnings

STABLE = replace(RULES[0], code="ACME101", status=Status.STABLE)
PREVIEW = replace(RULES[0], code="ACME102", status=Status.PREVIEW)
DEPRECATED = replace(RULES[0], code="ACME201", status=Status.DEPRECATED)
THREE = (STABLE, PREVIEW, DEPRECATED)


@pytest.mark.parametrize(
    ("select", "ignore", "preview", "codes"),
    [
        ((), (), False, ["ACME101", "ACME201"]),
        ((), (), True, ["ACME101", "ACME102", "ACME201"]),
        (("ACME1",), (), False, ["ACME101"]),
        (("ACME1",), (), True, ["ACME101", "ACME102"]),
        (("ACME102",), (), False, []),
        (("ACME102",), (), True, ["ACME102"]),
        (("ACME",), ("ACME1",), True, ["ACME201"]),
        (("ACME102",), ("ACME1",), True, ["ACME102"]),
    ],
)
def test_rules_in_preview_run_only_where_that_is_asked_for(
    select: tuple[str, ...], ignore: tuple[str, ...], preview: bool, codes: list[str]
) -> None:
    selection = Selection((Choice(select or None, ignore=ignore),), preview=preview)
    assert [rule.code for rule in in_force(THREE, selection)] == codes


def selected(codes: tuple[str, ...], *, preview: bool) -> Selection:
    return Selection((Choice(codes),), preview=preview)


def test_a_rule_in_preview_that_is_selected_by_its_code_says_what_is_missing() -> None:
    (said,) = warnings(THREE, selected(("ACME102",), preview=False))
    assert said.startswith("ACME102 ")
    assert "--preview" in said
    assert not list(warnings(THREE, selected(("ACME102",), preview=True)))


def test_a_deprecated_rule_that_is_selected_by_its_code_says_so() -> None:
    (said,) = warnings(THREE, selected(("ACME201",), preview=True))
    assert said.startswith("ACME201 is deprecated")


@pytest.mark.parametrize("select", [(), ("ACME",), ("ACME1", "ACME2"), ("ACME101",)])
def test_prefixes_and_settled_rules_are_taken_without_a_word(select: tuple[str, ...]) -> None:
    assert not list(warnings(THREE, selected(select, preview=False)))


def test_the_audit_passes_on_what_there_is_to_say_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("scaleaudit.rules.loader.load_rules", lambda _: (*RULES, PREVIEW))
    book = RuleBook(Settings({"select": ("ACME102",)}, isolated=True), said.append)
    assert [rule.code for rule in book.for_run()] == list(ALWAYS_REPORTED)
    assert book.for_file("m.py") == book.for_run()
    preview, alone = said
    assert "ACME102 is a rule in preview" in preview
    assert "no rule is applied but" in alone
