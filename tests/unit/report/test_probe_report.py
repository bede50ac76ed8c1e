"""Probes in reports."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from probed_reports import probed, settled

from scaleaudit.domain.finding import FixKind
from scaleaudit.domain.twins import measured
from scaleaudit.report.html.probed import outcome_table
from scaleaudit.report.probing import sparkline
from scaleaudit.report.structure import to_json
from scaleaudit.report.text import to_text
from scaleaudit.report.traces import file_name, to_json_lines
from scaleaudit.rules import wording

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


def test_the_table_is_of_the_runs_that_decided(expect):
    text = to_text(settled())
    expect("probe_settled", text[text.index("  probe: ") :])


def test_a_page_shows_the_runs_that_decided():
    (target,) = settled().targets
    found = target.facts.probe
    rows = {row[0]: row[1:4] for row in outcome_table(found, found.states[0]).rows}
    assert rows["as it is"] == ("14", "5,000", "2")
    assert "with a norm between turns, after 100 steps" in rows


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [(FixKind.PENALTY, 5e3, 50.0), (FixKind.NORM_BETWEEN, 1e3, None)],
)
def test_a_fix_is_held_against_a_target_of_as_many_steps(kind, before, after):
    (target,) = settled().targets
    found = measured(kind, target.facts.probe, 0)
    assert found.before.norm == pytest.approx(before)
    assert after is None or found.after.norm == pytest.approx(after)
    assert found.seeds == 1


def test_a_finding_says_of_how_many_steps_its_numbers_are():
    (target,) = settled().targets
    (state,) = target.facts.probe.states
    assert "its norm ends at 5,000 after 400 steps" in wording.measured(state)
    assert "the objective falls by 22.0% from" in wording.measured(replace(state, response=-0.22))


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
