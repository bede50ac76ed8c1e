"""Patterns of file names; every case was held against ruff's per-file-ignores."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaleaudit.config.globs import flaw_of, matches

FILES = ("a.py", "tests/a.py", "tests/a/b/c.py")


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("tests/*", FILES[1:]),
        ("tests/**", FILES[1:]),
        ("tests", ()),
        ("tests/", ()),
        ("*.py", FILES),
        ("?.py", FILES),
        ("a.py", FILES[:2]),
        ("./a.py", FILES[:1]),
        ("tests/**/c.py", FILES[2:]),
        ("tests/a/**/b/c.py", FILES[2:]),
        ("b/c.py", ()),
        ("**/b/c.py", FILES[2:]),
        ("{a,c}.py", FILES),
        ("{x,tests/{y,a}}.py", FILES[1:2]),
        ("!tests/**", FILES[:1]),
        ("[a-b].py", FILES[:2]),
        ("[!a].py", FILES[2:]),
        ("[^a].py", FILES[2:]),
        ("a[.]py", FILES[:2]),
        ("a\\*.py", ()),
        ("/project/tests/a.py", FILES[1:2]),
        ("[a.py", ()),
        ("[[]a.py", ()),
    ],
)
def test_a_pattern_means_a_name_or_a_whole_path(pattern, files):
    folder = Path("/project")
    assert tuple(f for f in FILES if matches(pattern, folder / f, folder)) == files
    assert flaw_of(pattern) == ""


@pytest.mark.parametrize("pattern", ["[z-a].py", "![z-a].py", "x[!]"])
def test_a_pattern_that_means_nothing_is_told(pattern):
    assert flaw_of(pattern)


def test_brackets_hold_characters_and_no_expressions():
    folder = Path("/p")
    assert matches("[^^].py", Path("/p/a.py"), folder)
    assert not matches("[^^].py", Path("/p/^.py"), folder)
    assert matches("[[&|~].py", Path("/p/[.py"), folder)
