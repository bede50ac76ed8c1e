"""Results are kept in files and compared with later ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import compare
from benchmarks.files import FileError, read, write
from benchmarks.results import Aim, Line, Measure, Result
from benchmarks.tables import change_table, result_table

CPU = Measure.CPU
BASE = Line("base", samples={CPU: (1.0, 1.0, 1.0)})


def section(*samples: float, aim: float = 2.0, failure: str = "") -> Result:
    taken = {CPU: samples} if samples else {}
    return Result("depth", "", (BASE, Line("deep", "base", (Aim(CPU, aim),), taken, failure)))


def shown(table: Table) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_file_holds_every_sample_and_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write(file, [section(2.0, 2.5, 3.0)])
    content = json.loads(file.read_text())
    assert content["schema"] == 1
    assert {"platform", "cpus", "python", "torch"} <= content["machine"].keys()
    assert content["sections"]["depth"][1]["samples"] == {"cpu_seconds": [2.0, 2.5, 3.0]}
    again = read(file)["depth"].lines[1]
    assert (again.name, again.base, again.samples) == ("deep", "base", {CPU: (2.0, 2.5, 3.0)})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "sections": 3}'])
def test_file_that_holds_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(FileError):
        read(file)


def test_change_is_told_where_the_ratios_do_not_meet() -> None:
    earlier = {"depth": section(2.0, 2.1, 2.2)}
    base, deep = compare(section(3.0, 3.1, 3.2), earlier)
    assert deep.is_ratio
    assert deep.is_beyond_the_spread
    assert deep.factor == pytest.approx(3.1 / 2.1)
    assert not base.is_ratio
    assert not base.is_beyond_the_spread
    assert not compare(section(2.2, 2.3, 2.4), earlier)[1].is_beyond_the_spread


def test_only_what_both_runs_measured_is_compared() -> None:
    assert compare(section(3.0), {}) == ()
    failed = section(failure="exit code 2")
    assert [change.line for change in compare(failed, {"depth": section(2.0)})] == ["base"]
    assert [change.line for change in compare(section(2.0), {"depth": failed})] == ["base"]


def test_table_shows_the_ratio_its_spread_and_whether_the_aim_is_met() -> None:
    text = shown(result_table(section(1.5, 1.75, 2.0)))
    assert "1.75 s" in text
    assert "1.75 x (1.50 to 2.00)" in text
    assert "CPU <= 2 x, met" in text
    assert "MISSED" in shown(result_table(section(2.5)))


def test_table_says_why_a_line_is_missing() -> None:
    assert "failed: exit code 2" in shown(result_table(section(failure="exit code 2")))


def test_table_of_changes_tells_better_from_worse() -> None:
    earlier = {"depth": section(2.0, 2.1, 2.2)}
    assert "WORSE" in shown(change_table(compare(section(3.0, 3.0, 3.0), earlier)))
    assert "BETTER" in shown(change_table(compare(section(1.0, 1.0, 1.0), earlier)))
    same = shown(change_table(compare(section(2.0, 2.1, 2.2), earlier)))
    assert same.count("within the spread") == 2
