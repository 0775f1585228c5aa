"""Control characters of text from outside are shown, not obeyed."""

from __future__ import annotations

import unicodedata

import pytest

from searchlab.control_characters import escape_controls, escape_line
from searchlab.errors import InputError, did_you_mean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\x1b[2Jdog", r"cat\x1b[2Jdog"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\x08\x7f\x00", r"a\rb\x08\x7f\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\tc", r"a\nb\tc"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        ("\u200fgnp\u061c.\u200e", r"\u200fgnp\u061c.\u200e"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff.png", r"\udcff.png"),
    ],
)
def test_a_control_character_is_shown_as_python_writes_it(text: str, shown: str) -> None:
    assert escape_line(text) == shown


def test_whole_text_keeps_its_lines_and_tabs() -> None:
    assert escape_controls("a\n\tb\r\x1b") == "a\n\tb\\r\\x1b"


def test_no_control_character_is_left() -> None:
    shown = escape_line("".join(map(chr, range(0x10000))))
    assert [char for char in shown if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}] == []


@pytest.mark.parametrize("name", ["Chat à poil", "猫", "חתול", "👩‍👩‍👧", r"C:\cat", "[red]"])
def test_other_text_stays_as_it_is(name: str) -> None:
    assert escape_line(name) == escape_controls(name) == name


def test_a_name_that_is_proposed_is_on_one_line() -> None:
    assert did_you_mean("cat", ["cat\n\x1b"]) == r"Did you mean cat\n\x1b? Known: cat\n\x1b"


def test_an_error_shows_its_place_on_one_line() -> None:
    error = InputError("is broken", where="/photos/cat\nerror: \x1b[2J", found="\x9b")
    assert str(error) == r"/photos/cat\nerror: \x1b[2J is broken, got '\x9b'"
