"""A journal's file is whole, begins anew or goes on, and is written as seldom as it is large."""

from __future__ import annotations

import json

import pytest

from scaleaudit.domain.probing import Turn
from scaleaudit.domain.report import TargetReport, Verdict
from scaleaudit.monitoring import journal
from scaleaudit.monitoring.journal import Journal
from scaleaudit.monitoring.readings import Measurement, Reading

TARGET = TargetReport("m.py", "M", Verdict.PASS, None, ())


def begun(out, start=0) -> Journal:
    return Journal(TARGET, [("M.forward", "h")], out, start, seed=7)


def measured(step: int) -> Measurement:
    return Measurement(step, (Reading("M.forward", "h", (Turn(1.0, 2.0, 3.0),)),))


def kinds(out) -> list[str]:
    return [json.loads(line)["kind"] for line in out.read_text().splitlines()]


def test_a_journal_that_starts_later_keeps_what_the_file_holds(tmp_path):
    out = tmp_path / "traces.jsonl"
    first = begun(out)
    first.note(measured(0))
    first.write()
    before = out.read_text()
    later = begun(out, start=20)
    later.note(measured(20))
    later.write()
    assert out.read_text().startswith(before)
    assert kinds(out) == ["audit", "run"] * 2
    assert [run["measured"] for run in map(json.loads, out.read_text().splitlines()[1::2])] == [
        [0],
        [20],
    ]
    begun(out)
    assert kinds(out) == ["audit", "run"]
    begun(tmp_path / "none.jsonl", start=20)
    assert kinds(tmp_path / "none.jsonl") == ["audit", "run"]


def test_a_file_is_written_when_there_was_time_and_not_before(tmp_path, monkeypatch):
    out, clock = tmp_path / "traces.jsonl", [100.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: clock[0])
    kept = begun(out)
    kept.note(measured(0))
    kept.write_now_and_then()
    assert json.loads(out.read_text().splitlines()[1])["measured"] == []
    clock[0] += journal._PAUSE
    kept.write_now_and_then()
    run = json.loads(out.read_text().splitlines()[1])
    assert (run["measured"], run["seed"]) == ([0], 7)
    assert [path.name for path in tmp_path.iterdir()] == ["traces.jsonl"]


def test_what_is_no_number_is_null_and_an_overflow_has_its_step(tmp_path):
    out = tmp_path / "traces.jsonl"
    kept = begun(out)
    kept.lose([1.0, float("nan"), float("inf")])
    kept.overflow(2)
    kept.write()
    run = json.loads(out.read_text().splitlines()[1])
    assert (run["losses"], run["overflowed"]) == ([1.0, None, None], 2)


def test_a_journal_without_a_file_writes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = begun(None)
    kept.note(measured(0))
    kept.write_now_and_then()
    kept.write()
    assert not list(tmp_path.iterdir())
    assert kept.run.measured == (0,)


@pytest.mark.parametrize("names", [("h", "z"), ("h", "h")])
def test_scalars_have_one_name_each(names):
    readings = tuple(
        Reading(f"M.loop_{i}", name, (Turn(float(i), 0.0, 0.0),)) for i, name in enumerate(names)
    )
    found = Measurement(0, readings).scalars()
    assert sorted(found.values()) == [0.0, 1.0]
    expected = (
        {f"scaleaudit/{name}/turn_1" for name in names}
        if names[0] != names[1]
        else {
            "scaleaudit/1.M.loop_0/h/turn_1",
            "scaleaudit/2.M.loop_1/h/turn_1",
        }
    )
    assert set(found) == expected
