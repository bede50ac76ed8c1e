"""Which rules are applied; every case was held against what ruff does with the same settings."""

from __future__ import annotations

import pytest

from scaleaudit.domain.selection import Choice, Selection

CODES = ("SCL101", "SCL102", "SCL201", "ACME101")


def wanted(*choices: Choice, here: tuple[str, ...] = ()) -> list[str]:
    selection = Selection(choices, here)
    return [code for code in CODES if selection.wants(code)]


def choice(select=None, ignore=(), extend=()) -> Choice:
    return Choice(select, extend, ignore)


@pytest.mark.parametrize(
    ("choices", "codes"),
    [
        ((), CODES),
        ((choice(("ALL",)),), CODES),
        ((choice(()),), ()),
        ((choice(("SCL1",)),), ("SCL101", "SCL102")),
        ((choice(("SCL1",), ("SCL101",)),), ("SCL102",)),
        ((choice(("SCL101",), ("SCL1",)),), ("SCL101",)),
        ((choice(("SCL1",), ("SCL1",)),), ()),
        ((choice(("ALL",), ("SCL",)),), ("ACME101",)),
        ((choice(("SCL1",), (), ("ACME",)),), ("SCL101", "SCL102", "ACME101")),
        # Of two places the later one wins, and a new selection starts afresh.
        ((choice(("SCL1",), ("SCL101",)), choice(("SCL1",))), ("SCL101", "SCL102")),
        ((choice(None, ("SCL101",)), choice(("SCL1",))), ("SCL101", "SCL102")),
        ((choice(("SCL1",), ("SCL101",)), choice(None, ("SCL102",))), ()),
        ((choice(("SCL2",), ("SCL101",)), choice(None, (), ("SCL1",))), ("SCL101", "SCL102", "SCL201")),
        ((choice(None, (), ("SCL101",)), choice(None, ("SCL1",))), ("SCL201", "ACME101")),
        ((choice(("SCL2",), (), ("SCL1",)), choice(("ACME",))), ("ACME101",)),
    ],
)  # fmt: skip
def test_the_later_and_the_more_exact_choice_decides(choices, codes):
    assert wanted(*choices) == list(codes)


def test_what_is_ignored_in_a_file_stays_so_whatever_is_selected():
    assert wanted(choice(("SCL101", "SCL2")), here=("SCL1",)) == ["SCL201"]


@pytest.mark.parametrize("code", ["SCL901", "SCL904"])
def test_what_tells_that_there_is_no_verdict_is_always_wanted(code):
    nothing = choice((), ("ALL", code))
    assert Selection((nothing,), ignored_here=(code, "ALL")).wants(code)


def test_every_named_prefix_is_told_once():
    selection = Selection((choice(("A",), ("B",), ("C",)), choice(None, ("B",))), ("D", "A"))
    assert selection.prefixes() == ("A", "C", "B", "D")
