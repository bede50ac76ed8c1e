"""The rules that a file is judged by, out of its settings."""

from __future__ import annotations

import pytest

from scaleaudit.choosing import RuleBook
from scaleaudit.config import Settings
from scaleaudit.errors import ConfigError
from scaleaudit.rules.loader import load_rules

STABLE = {rule.code for rule in load_rules() if rule.status.value != "preview"}


def codes(**flags: object) -> set[str]:
    return {rule.code for rule in RuleBook(Settings(flags, isolated=True)).for_run()}


def test_rules_are_chosen_by_code_and_prefix():
    assert codes() == STABLE
    always = {"SCL901", "SCL904"}
    assert codes(select=("SCL1",)) == {c for c in STABLE if c.startswith("SCL1")} | always
    assert codes(ignore=("SCL2", "SCL104")) == {
        c for c in STABLE if not c.startswith("SCL2") and c != "SCL104"
    }


def test_what_was_not_audited_cannot_be_ignored_and_that_is_told_once():
    said: list[str] = []
    flags = {"ignore": ("SCL9", "SCL901", "SCL904")}
    book = RuleBook(Settings(flags, isolated=True), said.append)
    assert {"SCL901", "SCL904"} <= {rule.code for rule in (*book.for_run(), *book.for_file("m.py"))}
    assert [text[:24] for text in said] == ["SCL901 cannot be ignored", "SCL904 cannot be ignored"]


@pytest.mark.parametrize(
    ("flags", "is_told"),
    [
        ({"ignore": ("ALL",)}, True),
        ({"ignore": ("SCL",)}, True),
        ({"select": ("SCL901",)}, True),
        ({"ignore": ("SCL1",)}, False),
        ({}, False),
    ],
)
def test_a_run_that_judges_nothing_says_so(flags, is_told):
    said: list[str] = []
    book = RuleBook(Settings(flags, isolated=True), said.append)
    book.for_run()
    book.for_file("m.py")
    told = "no rule is applied but SCL901 and SCL904: whatever can be audited passes"
    assert said.count(told) == is_told


@pytest.mark.parametrize("prefix", ["SCL777", "", "scl"])
def test_a_code_that_no_rule_has_is_a_mistake(prefix):
    with pytest.raises(ConfigError, match="no rule has the code or prefix") as error:
        codes(select=(prefix,))
    assert error.value.where == "--select"


def test_a_mistake_in_a_pattern_is_told_though_no_file_fits_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaleaudit.toml").write_text('[per-file-ignores]\n"gone.py" = ["SCL110"]\n')
    with pytest.raises(ConfigError, match="did you mean 'SCL10") as error:
        RuleBook(Settings()).for_file("m.py")
    assert error.value.where == "scaleaudit.toml:1"


def test_some_files_are_left_out_and_what_cannot_be_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaleaudit.toml").write_text('[per-file-ignores]\n"old.py" = ["SCL1", "SCL901"]\n')
    said: list[str] = []
    book = RuleBook(Settings(), said.append)
    old, new = ({rule.code for rule in book.for_file(name)} for name in ("old.py", "new.py"))
    assert new == STABLE
    assert old == {code for code in STABLE if not code.startswith("SCL1")}
    assert len(said) == 1
