"""The error type for faults that an operator can correct."""

from __future__ import annotations


class PktexpError(Exception):
    """A failure in one line: its message, and in `hint` what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
