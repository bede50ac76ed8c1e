"""The table of the reference models as Markdown, JSON and a picture, from runs made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from reproductions import depth, overflowed, run

from scaleaudit.domain.diagnostics import SWEEP
from scaleaudit.domain.reproduction import Reproduction, Spread, figure, spread
from scaleaudit.reference.claims import claims, separation, side_by_side
from scaleaudit.report.reproduction import to_json, to_markdown
from scaleaudit.report.reproduction_charts import charts, to_svg

ORDER = ("terminal_rmsnorm", "terminal_raw", "per_loop_rmsnorm", "per_loop_raw")
RUNS = [
    run(name, seed, length * (1 + seed / 10))
    for name, length in zip(ORDER, (1100, 6, 1000, 5.5), strict=True)
    for seed in range(2)
]


def table(runs=RUNS, missing=()):
    found = side_by_side(runs, ORDER)
    recipe = (("steps", "300 of 8 x 64 tokens"), ("learning rate", "0.01"))
    return Reproduction("tiny", recipe, found, claims(found), separation(found), missing)


def test_people_read_markdown(expect):
    expect("reproduction", to_markdown(table(missing=("norm_between, seed 2",))))


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    cells = [line.count("|") for line in to_markdown(table()).splitlines() if line.startswith("|")]
    heads = [
        line.count("|") for line in to_markdown(table()).splitlines() if line.startswith("|--")
    ]
    assert len(heads) == 7
    assert set(cells) == set(heads)


def test_runs_that_overflowed_stand_in_a_table_of_their_own():
    lost = (overflowed("per_loop_rmsnorm", 2), overflowed("terminal_raw", 2, None))
    text = to_markdown(replace(table(), overflowed=lost))
    assert "| `per_loop_rmsnorm` | blind | 2 | 130 | 40,000 at step 120 |" in text
    assert "| `terminal_raw` | controlled | 2 | 130 | not measured |" in text
    first, second = json.loads(to_json(replace(table(), overflowed=lost)))["overflowed"]
    assert (first["condition"], first["step"], first["length"]) == ("per_loop_rmsnorm", 130, 4e4)
    assert second["length"] is None
    assert "overflowed" not in to_markdown(table())


def test_json_holds_every_number_of_every_run():
    document = json.loads(to_json(table()))
    assert document["sweep"] == list(SWEEP)
    first = document["conditions"][0]
    assert first["depths"][3]["length"] == {"mean": pytest.approx(1155), "low": 1100, "high": 1210}
    (one, two) = first["runs"]
    assert (one["seed"], two["seed"], one["step"], one["seen"]) == (0, 1, 300, 153_600)
    assert [each["turns"] for each in one["depths"]] == [1, 2, 3, 4, 8, 16]
    assert one["depths"][3]["loss"] == math.log(14)
    assert one["early_exit"]["threshold"] == 0.75
    assert first["perplexity"] is None
    assert document["conditions"][1]["perplexity"]["holds"] is False


def test_what_is_no_number_is_null_and_written_as_it_is():
    broken = run("per_loop_rmsnorm", 0, math.inf)
    lost = replace(broken.evaluation.depths[0], loss=math.nan)
    broken = replace(
        broken, evaluation=replace(broken.evaluation, depths=(lost, depth(4, math.inf, 2)))
    )
    document = json.loads(to_json(table([broken])))
    assert document["conditions"][0]["runs"][0]["depths"][0]["loss"] is None
    assert document["conditions"][0]["depths"][1]["length"]["mean"] is None
    assert "| inf |" in to_markdown(table([broken]))


def test_a_table_of_nothing_says_so():
    assert "0 conditions, 0 seeds" in to_markdown(table([], ("norm_between, seed 0",)))
    assert json.loads(to_json(table([])))["conditions"] == []
    ET.fromstring(to_svg(table([])))


def test_the_picture_has_a_curve_for_every_condition_and_its_numbers_in_words():
    length, perplexity = charts(table())
    assert [curve.name for curve in length.curves] == [name.replace("_", " ") for name in ORDER]
    for chart, ends in ((length, (4400, 4840)), (perplexity, (30, 30))):
        last = chart.curves[0].points[-1]
        assert (last.x, last.low, last.high) == (16, pytest.approx(ends[0]), pytest.approx(ends[1]))


def test_the_picture_is_one_document_that_stands_by_itself():
    root = ET.fromstring(to_svg(table()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["Length of the state, size tiny", "Perplexity, size tiny"]
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert "http" not in ET.tostring(root, encoding="unicode").replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234, "0.0123"),
        (5.678, "5.68"),
        (99.96, "100"),
        (123.4, "123"),
        (39_123.0, "39,123"),
        (5_384_808.0, "5.38e6"),
        (1.49e127, "1.49e127"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_written_to_three_digits(value, text):
    assert figure(value) == text


def test_numbers_over_seeds_are_written_with_their_range():
    assert str(spread([1.0, 2.0, 6.0])) == "3 (1 to 6)"
    assert spread([2.0]) == Spread(2.0, 2.0, 2.0)
