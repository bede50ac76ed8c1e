"""Rows take turns, and what is measured did its work."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import commands
from benchmarks.accounting import CommandError, Usage
from benchmarks.commands import Row, timed
from benchmarks.depths import TURNS
from benchmarks.results import Measure
from benchmarks.running import measure
from benchmarks.sections import SECTIONS, Section
from benchmarks.small_models import write_small_models
from scaleaudit.api import audit_facts
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_rules

RULES = load_rules()
VARIANTS = 12


class Rows:
    """Rows that count how often they were asked."""

    def __init__(self, *names: str, failing: str = "") -> None:
        self.asked: list[str] = []
        self.rows = tuple(Row(name, self._sample(name, fails=name == failing)) for name in names)

    def _sample(self, name: str, *, fails: bool) -> commands.Sample:
        def sample() -> Mapping[Measure, float]:
            self.asked.append(name)
            if fails:
                raise CommandError("no")
            return {Measure.CPU: float(len(self.asked))}

        return sample

    def section(self, warm_up: int = 0) -> Section:
        return Section("section", "", lambda _: self.rows, warm_up)


def ignore(_: str) -> None:
    pass


def test_rows_take_turns() -> None:
    rows = Rows("a", "b")
    first, second = measure(rows.section(), 3, ignore).lines
    assert rows.asked == ["a", "b"] * 3
    assert first.samples == {Measure.CPU: (1.0, 3.0, 5.0)}
    assert second.samples == {Measure.CPU: (2.0, 4.0, 6.0)}


def test_warming_up_is_not_recorded() -> None:
    rows = Rows("a", "b")
    first, _ = measure(rows.section(warm_up=1), 1, ignore).lines
    assert rows.asked == ["a", "a", "b"]
    assert first.samples == {Measure.CPU: (2.0,)}


def test_row_that_fails_is_not_tried_again_and_does_not_stop_the_others() -> None:
    rows = Rows("a", "b", failing="a")
    first, second = measure(rows.section(), 2, ignore).lines
    assert rows.asked == ["a", "b", "b"]
    assert (first.failure, first.samples) == ("no", {})
    assert len(second.samples[Measure.CPU]) == 2


@pytest.mark.parametrize(
    ("code", "output", "says"), [(2, "SCL101", "SCL101"), (1, "unknown", "SCL101"), (-9, "", "")]
)
def test_command_that_did_not_do_its_work_is_no_sample(
    monkeypatch: pytest.MonkeyPatch, code: int, output: str, says: str
) -> None:
    monkeypatch.setattr(commands, "account", lambda _: Usage(code, output, 1.0, 1.0, 1))
    with pytest.raises(CommandError, match=f"exit code {code}"):
        timed((sys.executable,), says)()


def test_rows_refer_to_rows_of_their_section(tmp_path: Path) -> None:
    for section in SECTIONS:
        rows = section.rows(tmp_path)
        names = [row.name for row in rows]
        assert len(set(names)) == len(names)
        assert {row.base for row in rows} <= {"", *names}
        assert 0 < section.warm_up <= len(rows)


def test_small_models_are_all_different_and_blind(tmp_path: Path) -> None:
    paths = write_small_models(tmp_path, 2 * VARIANTS)
    texts = {Path(path).read_text().replace(f"Looped{i}", "") for i, path in enumerate(paths)}
    assert len(texts) == len(paths)
    for path in paths[:VARIANTS]:
        facts = audit_facts(path, "scaleaudit_target")
        assert [loop.turns for loop in facts.loops] == [TURNS]
        codes = {f.code for f in evaluate(RULES, path, "small", facts).findings}
        assert codes == {"SCL101"}
