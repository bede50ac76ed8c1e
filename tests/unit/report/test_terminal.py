from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from scaleaudit.report.terminal import Ink, Style, Verbatim, indented, printable, width, wrapped


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


def test_a_long_line_breaks_between_words_and_hangs():
    line = "  = note: " + "word " * 12 + "end"
    parts = list(wrapped(line, 40))
    assert parts[0].startswith("  = note: word")
    assert all(part.startswith("      word") for part in parts[1:])
    assert max(map(width, parts)) <= 40
    assert " ".join(part.strip() for part in parts) == line.strip()


@given(st.text(alphabet="ab変 \u0301", max_size=200), st.integers(24, 60))
def test_a_broken_line_loses_no_word_and_fits_if_its_words_do(text, columns):
    parts = list(wrapped(text, columns))
    assert " ".join(parts).split() == text.split()
    if all(width(word) <= columns - 30 for word in text.split(" ")) and not text.startswith(" "):
        assert max(map(width, parts)) <= columns


def test_paint_takes_no_room():
    ink = Ink(colour=True)
    line = f"{ink(Style.ERROR, 'error[X]')}{ink(Style.STRONG, ': ' + 'word ' * 4)}"
    assert list(wrapped(line, 40)) == [line]


def test_source_code_is_never_broken():
    line = indented(Verbatim("x = " + "1 + " * 30), 2)
    assert list(wrapped(line, 40)) == [line]
    assert list(wrapped("a " * 40, 20)) == ["a " * 40]
