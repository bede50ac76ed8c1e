"""The code on every rule page is run: marked lines have their finding, all others stay silent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaleaudit.api import audit
from scaleaudit.domain.report import TargetReport
from scaleaudit.rules.loader import load_rules
from scaleaudit.rules.rule import Block, Rule

MARKER = re.compile(r"# finding: (\w+)")
BLOCKS = [
    pytest.param(rule, number, id=f"{rule.code}-{block.section.lower()}-{number}")
    for rule in load_rules()
    for number, block in enumerate(rule.blocks)
]


def file_name(rule: Rule, number: int) -> str:
    return f"{rule.code.lower()}_{number}.py"


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TargetReport]:
    """Audit all blocks in one run, as files of their own."""
    folder = tmp_path_factory.mktemp("pages")
    for rule in load_rules():
        for number, block in enumerate(rule.blocks):
            (folder / file_name(rule, number)).write_text(block.code, encoding="utf-8")
    paths = sorted(str(path) for path in folder.iterdir())
    return {Path(target.path).name: target for target in audit(paths).targets}


@pytest.mark.parametrize(("rule", "number"), BLOCKS)
def test_code_of_a_page_has_the_findings_that_it_marks_and_no_others(
    rule: Rule, number: int, reports: dict[str, TargetReport]
) -> None:
    found = {
        (finding.location.line if finding.location else 0, finding.code)
        for finding in reports[file_name(rule, number)].findings
    }
    assert found == set(marks(rule.blocks[number]))


@pytest.mark.parametrize(("rule", "number"), BLOCKS)
def test_good_code_passes(rule: Rule, number: int, reports: dict[str, TargetReport]) -> None:
    if rule.blocks[number].section == "Good":
        assert reports[file_name(rule, number)].verdict.value == "pass"


def marks(block: Block) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(block.code.splitlines(), start=1):
        for match in MARKER.finditer(line):
            yield number, match.group(1)
