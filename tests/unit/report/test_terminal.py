from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.report.terminal import Ink, Style, printable, width


@given(st.text())
def test_printable_text_has_no_character_that_commands(text):
    unsafe = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert unsafe.isdisjoint(unicodedata.category(char) for char in printable(text))


def test_ordinary_text_stays_as_it_is():
    assert printable("h_K‖ = [bold] 変") == "h_K‖ = [bold] 変"


def test_plain_ink_leaves_no_trace():
    assert Ink(colour=False)(Style.ERROR, "x") == "x"


def test_colour_ends_where_the_text_ends():
    assert Ink(colour=True)(Style.ERROR, "x") == "\x1b[1;31mx\x1b[0m"


def test_wide_and_combining_characters_take_their_columns():
    assert [width("ab"), width("変"), width("e\u0301")] == [2, 2, 1]
