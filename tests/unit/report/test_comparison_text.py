from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import BLIND, MLP, PATH

from scaleaudit.domain.comparison import (
    Comparison,
    Effect,
    FactChange,
    FindingChange,
    FindingStatus,
    TargetChange,
)
from scaleaudit.domain.finding import Severity
from scaleaudit.domain.report import Verdict
from scaleaudit.report.comparison import (
    comparison_json,
    comparison_markdown,
    comparison_text,
)

CHANGED = Comparison(
    "v1 (0123456789)",
    "the working tree",
    (
        TargetChange(
            PATH,
            "Looped",
            Verdict.PASS,
            Verdict.FAIL,
            (
                FactChange("This change made the readout `logits` blind.", Effect.WORSE, MLP),
                FactChange("The gain is held below 1.", Effect.BETTER),
                FactChange("Loop `f` goes from 4 turns to 8."),
            ),
            (
                FindingChange(FindingStatus.NEW, BLIND),
                FindingChange(FindingStatus.FIXED, replace(BLIND, code="SCL201", location=None)),
                FindingChange(
                    FindingStatus.CHANGED,
                    replace(BLIND, code="SCL104"),
                    replace(BLIND, code="SCL104", severity=Severity.NOTE),
                ),
            ),
        ),
        TargetChange("new.py", "New", None, Verdict.PASS),
        TargetChange("old.py", "", Verdict.WARN, None),
        TargetChange("same.py", "Same", Verdict.PASS, Verdict.PASS),
    ),
    ("Only the second was held against SCL999.",),
)


@pytest.mark.parametrize("write", [comparison_text, comparison_json, comparison_markdown])
def test_a_comparison_is_as_expected(write, expect):
    expect(write.__name__, write(CHANGED))


def test_colour_changes_nothing_but_escape_codes():
    coloured = comparison_text(CHANGED, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == comparison_text(CHANGED)


def test_where_nothing_changed_that_is_said():
    same = replace(CHANGED, targets=CHANGED.targets[3:], notes=())
    assert "nothing changed in 1 target" in comparison_text(same)


def test_a_comment_that_would_be_too_long_counts_what_is_left_out():
    fact = FactChange("x" * 500)
    (first, *_) = CHANGED.targets
    long = replace(CHANGED, targets=(replace(first, facts=(fact,) * 500),))
    text = comparison_markdown(long)
    assert len(text.encode()) <= 65_536
    shown = text.count("x" * 500)
    assert f"{500 - shown} more lines did not fit here." in text


TEXT = st.text(st.characters(codec=None), max_size=20)


@given(TEXT, TEXT)
@settings(max_examples=50, deadline=None)
def test_any_name_is_text_and_nothing_else(name, said):
    target = replace(CHANGED.targets[0], path=name, facts=(FactChange(said),))
    made = replace(CHANGED, before=name, targets=(target,), notes=(said,))
    text = comparison_text(made)
    categories = {unicodedata.category(char) for char in text if char != "\n"}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
    assert json.loads(comparison_json(made))["targets"][0]["facts"][0]["effect"] == "neutral"
    page = MarkdownIt("gfm-like", {"linkify": False}).render(comparison_markdown(made))
    assert page.count("<li>") == 5
    assert "<h1>" not in page
