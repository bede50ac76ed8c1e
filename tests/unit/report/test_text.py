from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace

import pytest
from reports import (
    ALL,
    BLIND,
    PATH,
    STATE,
    blind,
    facts,
    hostile,
    not_audited,
    open_questions,
    report,
    safe,
    target,
)

from scaleaudit.domain.graph import Location
from scaleaudit.domain.report import Verdict
from scaleaudit.report.statistics import to_json_statistics, to_statistics
from scaleaudit.report.text import Detail, to_text


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("detail", Detail, ids=lambda detail: detail.value)
def test_text_is_as_expected(make, detail, expect):
    expect(f"{make.__name__}-{detail.value}", to_text(make(), detail))


def test_coloured_text_is_as_expected(expect):
    expect("blind-colour", to_text(blind(), colour=True))


def test_colour_changes_nothing_but_escape_codes():
    coloured = to_text(safe(), colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == to_text(safe())


@pytest.mark.parametrize("detail", Detail, ids=lambda detail: detail.value)
def test_nothing_that_a_model_names_can_command_the_terminal(detail):
    text = to_text(hostile(), detail, show_output=True)
    assert {unicodedata.category(char) for char in text if char != "\n"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    )


def test_printed_output_is_shown_on_request_only():
    assert "hello" not in to_text(not_audited())
    assert "    | hello\n    | world" in to_text(not_audited(), show_output=True)


def test_a_span_over_many_lines_shows_its_first_ones():
    source = "".join(f"x{number} = (\n" for number in range(1, 20))
    finding = replace(BLIND, location=Location(PATH, 2, 1, 12, 3), proof=(), related=(), fixes=())
    text = to_text(report(target(Verdict.FAIL, None, finding), source=source))
    assert "x5 = (" in text
    assert "x6 = (" not in text
    assert "7 more lines" in text


def test_carets_stand_under_wide_characters_and_tabs():
    source = "\t変 = h + mlp(h)\n"
    start = source.index("h +") + 1
    finding = replace(
        BLIND, location=Location(PATH, 1, start, 1, len(source)), proof=(), related=(), fixes=()
    )
    lines = to_text(report(target(Verdict.FAIL, None, finding), source=source)).splitlines()
    row = next(index for index, line in enumerate(lines) if "変" in line)
    # The ideograph takes two columns of the terminal.
    assert lines[row + 1].index("^") == lines[row].index("h +") + 1
    assert lines[row + 1].count("^") == len("h + mlp(h)")


@pytest.mark.parametrize(
    "location",
    [
        Location(PATH, 0),
        Location(PATH, 10_000),
        Location(PATH, 9, 900, 9, 950),
        Location(PATH, 9, 20, 9, 4),
        Location(PATH, 9, 20, 3, 4),
        Location("elsewhere.py", 1, 1, 1, 1),
        Location(PATH, 3),
    ],
    ids=str,
)
def test_a_location_that_fits_no_line_harms_nobody(location):
    finding = replace(BLIND, location=location)
    assert "--> " in to_text(report(target(Verdict.FAIL, None, finding)))


def test_lines_end_where_python_ends_them():
    source = "a = 'x\x0cy\u2028z'\nsecond = 2\n"
    finding = replace(BLIND, location=Location(PATH, 2), proof=(), related=(), fixes=())
    text = to_text(report(target(Verdict.FAIL, None, finding), source=source))
    assert "2 | second = 2" in text


def test_a_state_that_no_loss_term_reads_is_not_called_blind():
    unread = replace(STATE, readouts=())
    text = to_text(report(target(Verdict.PASS, facts(unread))))
    assert "not asked: no loss term reads it" in text
    assert "blind" not in text


@pytest.mark.parametrize("detail", Detail)
def test_quiet_text_has_findings_and_open_questions_alone(detail):
    assert to_text(safe(), detail, quiet=True) == ""
    assert "coverage" not in to_text(blind(), detail, quiet=True)
    assert "SCL101" in to_text(blind(), detail, quiet=True)
    questions = to_text(open_questions(), detail, quiet=True).splitlines()
    assert any(": unknown: " in line for line in questions)


def test_long_lines_are_broken_on_a_terminal_and_code_is_not():
    wide, narrow = to_text(blind()), to_text(blind(), columns=60)
    assert wide.split() == narrow.split()
    long = [line for line in narrow.splitlines() if len(line) > 60]
    assert all(line in wide.splitlines() for line in long)
    assert len(narrow.splitlines()) > len(wide.splitlines())


def test_rules_are_counted_in_place_of_findings():
    (finding,) = blind().targets[0].findings[:1]
    other = replace(finding, code="SCL204", name="x\x1b[2J")
    counted = report(target(Verdict.FAIL, None, finding, finding, other))
    assert to_statistics(counted) == (f"2  SCL101  {finding.name}\n1  SCL204  x\\x1b[2J\n")
    assert [(row["code"], row["count"]) for row in json.loads(to_json_statistics(counted))] == [
        ("SCL101", 2),
        ("SCL204", 1),
    ]
    assert to_statistics(safe()) == ""
