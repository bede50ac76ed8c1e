"""Pages that are broken or mean harm are refused when loaded, at once, with their line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rule_support import BODY, FRONT, changed, facts, state, write_page

from scaleaudit.errors import RuleError
from scaleaudit.rules.engine import evaluate
from scaleaudit.rules.loader import load_page
from scaleaudit.rules.page import MAXIMUM_SIZE

WHOLE = f"---\n{FRONT}---\n{BODY}"
NAME = "ACME101-a-rule.md"
AT_ONCE = 1.0  # seconds, on a busy machine


def refusal(path: Path) -> RuleError:
    start = time.perf_counter()
    with pytest.raises(RuleError) as caught:
        load_page(path)
    assert time.perf_counter() - start < AT_ONCE
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("a-rule\n", "a\0rule\n", 3, "control character '\\x00'"),
        ("What it is about.", "\x1b[31mred", 4, "control character '\\x1b'"),
        ("What it is about.", "a\rb", 4, "control character '\\r'"),
        ("scope: state", "scope: state\n<<: {a: b}", 9, "there is no `<<` here"),
        ("scope: state", "scope: state\na: &a [x]\nb: [*a, *a]", 9, "anchors and aliases"),
        ("scope: state", "scope: !!python/object/apply:os.system [id]", 8, "tags are not allowed"),
        ("scope: state", "scope: !include /etc/passwd", 8, "tags are not allowed"),
        ("scope: state", "? [a, b]\n: c\nscope: state", 8, "a key is no text"),
        ("scope: state", f"scope: state\n{'k' * 5_000}: x", 9, "no YAML"),
        ("code: ACME101", "%YAML 9.9\n---\ncode: ACME101", 2, "no YAML"),
        ("summary: What it is about.", "summary:", 4, "`summary` is empty"),
        ("status: stable", "status: yes", 6, "none of stable, preview, deprecated"),
        ("since: 0.1.0", f"since: {'9' * 4_000}.1.0", 7, "is not a version"),
        ("drifts.", "{state.name}" * 1_000, 11, "longer than 2000 characters"),
        ("scope: state", "scope: state\nneeds: gpu", 9, "`needs: gpu` is none of probe"),
        ("scope: state", "scope: state\nneeds: probe", 39, "how its training ended"),
    ],
)
def test_front_matters_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    error = refusal(write_page(tmp_path, changed(FRONT, old, new)))
    assert error.where == f"{tmp_path / NAME}:{line}"
    assert message in error.message


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("x = 2", "x = '\x9b31m'", 44, "control character '\\x9b'"),
        ("x = 2", "# probe: confirmed\nx = 2", 44, "the page has no `needs: probe`"),
        ("x = 1  # finding: ACME101", "x = 1  # finding: ACME102", 38, "marks no line"),
        ("x = 1  # finding: ACME101", "x = 1  # finding: ACME1011", 38, "marks no line"),
        ("```python\nx = 2", "```text\nx = 2", 41, "the section Good has no ```python block"),
    ],
)
def test_bodies_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    error = refusal(write_page(tmp_path, body=changed(BODY, old, new)))
    assert error.where == f"{tmp_path / NAME}:{line}"
    assert message in error.message


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("(" * 900 + "state.active" + ")" * 900, "nested too deep"),
        ("[" * 900 + "]" * 900 + " == [] && state.active", "nested too deep"),
        ("state.gain_high > 0.0" + "+1.0" * 400, "nested too deep"),
        ("state.active && " + "9" * 500 + " > 0", "invalid int literal"),
        ('state.name.matches("((a{100}){100}){100}")', "no regular expression"),
        ("state.active\n  && state.name.matches('(')", "no regular expression"),
        ("cel.bind(x, state.active, x)", "undeclared reference"),
        ("Loop.turns > 1", "undeclared reference to 'Loop'"),
        ("loop.tunrs > 1", "undeclared reference to 'loop.tunrs'"),
        ("true", "names no fact"),
        ("true // && state.active", "names no fact"),
        ("type (state.active) == bool", "type() is not available"),
    ],
)
def test_conditions_that_cannot_work_are_refused(
    tmp_path: Path, condition: str, message: str
) -> None:
    front = changed(FRONT, "state.active && state.blind", condition)
    error = refusal(write_page(tmp_path, front))
    assert message in error.message
    line = 10 + condition[: condition.find(".matches('(")].count("\n")
    assert error.where == f"{tmp_path / NAME}:{line}"


NINE = "[1,2,3,4,5,6,7,8,9]"


@pytest.mark.parametrize(
    "condition",
    [
        "".join(f"{NINE}.map({x}, " for x in "abcdefgh")
        + NINE
        + ")" * 8
        + " == [] || state.active",
        "".join(f"{NINE}.all({x}, " for x in "abcdefghijk") + "state.active" + ")" * 11,
        f'("{"a" * 1_500}" + state.name).matches("(a+)+(a+)+(a+)+$")',
        "!" * 1_500 + "state.active",
    ],
    ids=["map", "all", "pattern", "not"],
)
def test_conditions_that_would_take_for_ever_end_at_once(tmp_path: Path, condition: str) -> None:
    front = changed(FRONT, "state.active && state.blind", condition)
    rule = load_page(write_page(tmp_path, front))
    start = time.perf_counter()
    evaluate((rule,), "model.py", "target", facts(state()))
    assert time.perf_counter() - start < AT_ONCE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "it is no file"),
        (Path.mkdir, "it is no file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is no file"),
        (lambda path: path.symlink_to(path), "there is no such file"),
        (lambda path: path.write_bytes(b"x" * (MAXIMUM_SIZE + 1)), "larger than"),
        (lambda path: path.write_bytes(WHOLE.encode("utf-16")), "not in UTF-8"),
        (lambda path: path.write_bytes(b""), "no front matter"),
    ],
    ids=["fifo", "folder", "device", "loop of links", "large", "utf-16", "empty"],
)
def test_what_is_no_page_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / NAME)
    error = refusal(tmp_path / NAME)
    assert message in error.message
    assert error.where.startswith(str(tmp_path / NAME))


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.encode("utf-8-sig"),
        WHOLE.replace("\n", "\r\n").encode(),
        WHOLE.replace("Something.", "Some\u2028thing.").encode(),
    ],
    ids=["mark", "windows", "separator"],
)
def test_pages_may_come_from_any_editor(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(data)
    rule = load_page(path)
    lines = data.decode("utf-8-sig").split("\n")
    for block in rule.blocks:
        assert lines[block.line - 1].rstrip() == block.code.split("\n")[0]
