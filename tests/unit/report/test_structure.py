from __future__ import annotations

import json
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from reports import ALL, blind, not_audited, open_questions

from scaleaudit.report.structure import SCHEMA_VERSION, to_json

SCHEMA = json.loads(files("scaleaudit.report").joinpath("schema.json").read_text())


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_report_fits_the_schema(make):
    Draft202012Validator(SCHEMA).validate(json.loads(to_json(make())))


def test_the_schema_knows_every_field_that_is_written():
    """A field that the schema does not name would be no part of the contract."""
    strict = json.loads(json.dumps(SCHEMA), object_hook=_closed)
    for make in ALL:
        Draft202012Validator(strict).validate(json.loads(to_json(make())))


def _closed(node):
    return {**node, "additionalProperties": False} if node.get("type") == "object" else node


def test_a_field_left_out_or_misspelt_does_not_fit():
    document = json.loads(to_json(blind()))
    state = document["targets"][0]["loops"][0]["states"][0]
    state["transitoin"] = state.pop("transition")
    assert not Draft202012Validator(SCHEMA).is_valid(document)


def test_the_version_is_the_one_of_the_schema():
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_json_is_as_expected(expect):
    expect("blind-json", to_json(blind()))


def test_a_gain_without_limit_is_null():
    document = json.loads(to_json(open_questions()))
    assert document["targets"][0]["loops"][0]["states"][0]["gain"] == [None, None]


def test_a_target_that_was_not_audited_has_no_coverage():
    (found,) = json.loads(to_json(not_audited()))["targets"]
    assert (found["verdict"], found["coverage"], found["loops"]) == ("unknown", None, [])
