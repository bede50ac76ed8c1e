"""Probes in reports."""

import json
from dataclasses import replace
from importlib.resources import files

from jsonschema import Draft202012Validator
from probed_reports import probed

from scaleaudit.report.probing import sparkline
from scaleaudit.report.structure import to_json
from scaleaudit.report.text import to_text
from scaleaudit.report.traces import file_name, to_json_lines

SCHEMA = json.loads(files("scaleaudit.report").joinpath("schema.json").read_text())


def test_all_of_a_probe_is_in_the_json_and_in_the_schema():
    document = json.loads(to_json(probed()))
    strict = json.loads(json.dumps(SCHEMA), object_hook=_closed)
    Draft202012Validator(strict).validate(document)
    found = document["targets"][0]["probe"]
    assert found["states"][0]["ratios"] == [38.0, 42.0]
    assert found["runs"][0]["fix"] is None
    assert found["runs"][0]["states"][0]["norms"][-1][-1] == {
        "mean": 1000.0,
        "p95": 1500.0,
        "max": 2000.0,
    }
    assert found["runs"][2]["losses"][-1] is None


def _closed(node):
    return {**node, "additionalProperties": False} if node.get("type") == "object" else node


def test_a_probe_is_a_table_for_people(expect):
    text = to_text(probed())
    assert "\x1b" not in text
    expect("probe", text[text.index("  probe: ") :])


def test_sparklines_share_a_logarithmic_scale():
    assert sparkline([1.0, 10.0, 100.0], [1.0, 100.0]) == "▁▅█"
    assert sparkline([10.0, float("inf")], [1.0, 100.0]) == "▅?"
    assert len(sparkline([float(n) for n in range(1, 200)], [1.0, 199.0])) <= 12
    assert sparkline([], []) == ""


def test_traces_are_a_line_each():
    (target,) = probed().targets
    lines = [json.loads(line) for line in to_json_lines(target).splitlines()]
    assert [line["kind"] for line in lines] == ["outcome", "run", "run", "run"]
    assert {line["target"] for line in lines} == {target.name}
    assert lines[1]["losses"] == [3.0, 2.4]


def test_names_of_traces_are_no_paths_and_differ():
    (target,) = probed().targets
    taken = set()
    odd = replace(target, name="../a b/c")
    first, second = file_name(odd, taken), file_name(odd, taken)
    assert first != second
    assert "/" not in first + second
