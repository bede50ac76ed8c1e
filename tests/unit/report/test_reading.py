from __future__ import annotations

import json

import pytest
from reports import ALL, blind, open_questions

from scaleaudit.errors import ConfigError
from scaleaudit.report.reading import from_json
from scaleaudit.report.structure import to_json


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_what_is_read_is_what_was_written(make):
    text = to_json(make())
    assert to_json(from_json(text, "report.json")) == text


def test_a_report_that_is_read_holds_the_facts():
    (read,) = from_json(to_json(blind()), "report.json").targets
    (written,) = blind().targets
    assert read.findings == written.findings
    assert read.facts.loops[0].states[0].readouts == written.facts.loops[0].states[0].readouts


def test_a_gain_is_read_with_its_ends():
    (read,) = from_json(to_json(open_questions()), "report.json").targets
    (written,) = open_questions().targets
    assert read.facts.loops[0].states[0].gain == written.facts.loops[0].states[0].gain


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}', "\udcff", "1"])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(ConfigError, match=r"x\.json is no report of scaleaudit"):
        from_json(text, "x.json")


def test_a_wrong_field_is_named():
    document = json.loads(to_json(blind()))
    document["targets"][0]["findings"][0]["severity"] = "fatal"
    with pytest.raises(ConfigError, match=r"fatal.*\$\.targets\[0\]\.findings\[0\]\.severity"):
        from_json(json.dumps(document), "x.json")


def test_a_report_of_another_version_is_refused():
    with pytest.raises(ConfigError, match="its schema version is 2, and this one reads up to 1"):
        from_json('{"schema_version": 2}', "x.json")


def test_a_picture_that_cannot_be_drawn_is_refused():
    document = json.loads(to_json(blind()))
    document["targets"][0]["loops"][0]["states"][0]["picture"]["edges"][0]["target"] = 99
    with pytest.raises(ConfigError, match="an edge or a fold of a picture has no box"):
        from_json(json.dumps(document), "old.json")


def test_a_report_without_pictures_is_read():
    document = json.loads(to_json(blind()))
    del document["targets"][0]["loops"][0]["states"][0]["picture"]
    (loop,) = from_json(json.dumps(document), "old.json").targets[0].facts.loops
    assert loop.states[0].picture is None
