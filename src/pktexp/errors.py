"""Errors that an operator can act on: raised by kernel/ and web/, made one line by cli.py."""

from __future__ import annotations


class PktexpError(Exception):
    """What went wrong, and a hint at what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
