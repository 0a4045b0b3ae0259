"""Errors that an operator can act on; cli.py turns them into one line, kernel/ and web/ raise them."""

from __future__ import annotations


class PktexpError(Exception):
    """What went wrong, and a hint at what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
