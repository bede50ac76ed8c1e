"""The code on every rule page is run: marked lines have their finding, all others stay silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaleaudit.rules.loader import load_rules, shipped_folder
from scaleaudit.tryout import Tried, try_pages

CODES = [rule.code for rule in load_rules()]


@pytest.fixture(scope="module")
def tried() -> Tried:
    """Try all pages in one run."""
    return try_pages((shipped_folder(),))


@pytest.mark.parametrize("code", CODES)
def test_code_of_a_page_has_the_findings_that_it_marks_and_no_others(
    code: str, tried: Tried
) -> None:
    wrong = [each for each in tried.mistakes if Path(each.where).name.startswith(code)]
    assert not wrong


@pytest.mark.parametrize("code", CODES)
def test_good_code_passes(code: str, tried: Tried) -> None:
    """What a page shows as good has a verdict, and that is a pass."""
    good = [
        verdicts
        for example, verdicts in tried.verdicts
        if example.rule.code == code and example.block.section == "Good"
    ]
    assert good
    assert all(verdicts == ("pass",) for verdicts in good)


def test_every_example_of_every_page_was_run(tried: Tried) -> None:
    assert [rule.code for rule in tried.rules] == CODES
    assert tried.examples == len(tried.verdicts) >= 2 * len(CODES)
