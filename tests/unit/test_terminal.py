"""Text for terminals: alignment, trailing blanks, and control characters."""

from __future__ import annotations

import sys

import pytest

from pktexp.commands.terminal import table
from pktexp.errors import escaped
from support.patience import finished


def test_columns_are_aligned_left_and_right_without_trailing_blanks() -> None:
    rows = [("name", "bytes", "note"), ("eth0", "7", "x"), ("a", "1,234", "")]
    assert table(rows, right={1}) == [
        "name  bytes  note",
        "eth0      7  x",
        "a     1,234",
    ]


def test_a_margin_precedes_every_line() -> None:
    assert table([("a", "b"), ("", "")], margin="  ") == ["  a  b", ""]


def test_no_rows_are_no_lines() -> None:
    assert table([]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x\x1b[2J", r"x\x1b[2J"),
        ("two\nlines", r"two\nlines"),
        ("\x9b2J", r"\x9b2J"),  # the one-byte form of ESC [
        ("\u202egnp.exe", r"\u202egnp.exe"),  # right-to-left override
        ("\udcff", r"\udcff"),  # a byte that is not UTF-8, as Python decodes it
        ("é0\x07", r"é0\x07"),
        ('it\'s "é"', 'it\'s "é"'),
    ],
)
def test_only_control_characters_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_escaped_cells_are_aligned_by_what_is_shown() -> None:
    assert table([("\x1b", "a"), ("eth0", "b")]) == [r"\x1b  a", "eth0  b"]


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\xe90"), ("utf-8", "é0")])
def test_characters_outside_the_output_encoding_are_escaped(encoding: str, shown: str) -> None:
    code = "from pktexp.commands.terminal import echo; echo('\\xe90')"
    command = ["env", f"PYTHONIOENCODING={encoding}", sys.executable, "-c", code]
    assert finished(command, capture_output=True, check=True, encoding="utf-8").stdout == shown
