"""The lines that a report quotes: those that it names, and as many times as they are needed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from html_reports import whole
from reports import BLIND, HEAD, LOSS, MIXER, MLP, PATH, SOURCE, blind, report, target

from scaleaudit.domain.finding import Related
from scaleaudit.domain.graph import Location
from scaleaudit.domain.places import all_places, finding_places
from scaleaudit.domain.report import Verdict
from scaleaudit.errors import ConfigError
from scaleaudit.report.quoting import Quote, quotes, unquoted
from scaleaudit.report.reading import from_json
from scaleaudit.report.structure import to_json


def test_a_report_quotes_what_it_names_and_two_lines_around():
    finding = replace(BLIND, proof=(), related=(Related(LOSS, "so"),))
    found = quotes(report(target(Verdict.FAIL, None, finding)))
    lines = SOURCE.split("\n")
    assert found == (Quote(PATH, 8, tuple(lines[7:11])), Quote(PATH, 14, tuple(lines[13:19])))


def test_quotes_read_back_are_the_same_quotes():
    found = quotes(blind())
    read = replace(blind(), sources=unquoted(found))
    assert quotes(read) == found
    assert read.sources[0][1].split("\n")[8] == SOURCE.split("\n")[8]


def test_long_lines_and_long_spans_are_cut():
    wide = Location(PATH, 1, 1, 900, 1)
    finding = replace(BLIND, location=wide, proof=(), related=())
    source = "\n".join(["x" * 2000] * 900)
    (quote,) = quotes(report(target(Verdict.FAIL, None, finding), source=source))
    assert (quote.line, len(quote.lines), len(quote.lines[0])) == (1, 8, 500)


def test_what_is_not_at_hand_is_not_quoted():
    assert quotes(replace(blind(), sources=())) == ()
    assert quotes(replace(blind(), sources=((PATH, ""),))) == ()


def test_all_places_are_those_of_findings_facts_and_pictures():
    (found,) = whole().targets
    assert {MLP, MIXER, HEAD} <= set(finding_places(found))
    assert set(finding_places(found)) < set(all_places(found))


def test_a_line_beyond_any_file_is_refused():
    document = json.loads(to_json(blind()))
    document["excerpts"][0]["line"] = 10**12
    with pytest.raises(ConfigError, match=r"\$\.excerpts\[0\]\.line"):
        from_json(json.dumps(document), "x.json")
