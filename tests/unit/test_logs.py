"""The text format of the log: one line per message, whatever is in it."""

from __future__ import annotations

import logging

import pytest

from pktexp.logs import TEXT, TextFormatter, debug_lines


def formatted(message: str, *arguments: object, error: BaseException | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("x", logging.ERROR, "", 0, message, arguments, info)
    return TextFormatter(TEXT).format(record)


def test_control_characters_of_a_message_are_escaped() -> None:
    line = formatted("%s: gone", "a\x1b[2J\nforged\r\x9b\u2028\u202e")
    assert line.endswith(r" ERROR   x: a\x1b[2J\nforged\r\x9b\u2028\u202e: gone")


def test_other_characters_of_a_message_are_kept() -> None:
    assert formatted("é %s", "日本 \\").endswith("x: é 日本 \\")


def test_traceback_keeps_its_lines() -> None:
    def fail() -> None:
        raise ValueError("bad \x1b[2J")

    try:
        fail()
    except ValueError as error:
        lines = formatted("failed", error=error).split("\n")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == r"ValueError: bad \x1b[2J"
    assert all(line.isprintable() for line in lines)


def test_long_texts_are_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    debug_lines(logging.getLogger("x"), "the verifier", "0: R1=ctx()\n1: exit\n")
    assert caplog.messages == ["the verifier: 0: R1=ctx()", "the verifier: 1: exit"]
