"""The error type for faults that an operator can correct, and text that is safe to show them.

Names of interfaces, aliases, and answers of remote services may contain escape sequences or line
breaks, which a terminal would obey.
"""

from __future__ import annotations


class PktexpError(Exception):
    """A failure in one line: its message, and in `hint` what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def escaped(text: str) -> str:
    """Return the text with a backslash escape for each character that is not printable."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
