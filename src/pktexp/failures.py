"""Failures after the start: counted and logged in one way, never raised out of a loop.

Belongs to the ground layer. A metric exports `count`; the log line names the failure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class FailureCounter:
    """Count failures of one kind; `count` only grows.

    Each failure is one log line, with a traceback at debug level. With `once`, only the first
    failure is logged, for failures that would repeat at every scrape.
    """

    def __init__(
        self, log: logging.Logger, level: int = logging.ERROR, *, once: bool = False
    ) -> None:
        self.count = 0
        self._log = log
        self._level = level
        self._once = once

    def note(self, error: Exception, message: str, *arguments: object) -> None:
        """Count a failure and log `message: error`; `arguments` fill the message as in logging."""
        self.count += 1
        if self._once and self.count > 1:
            return
        suffix = " (logged once, counted always)" if self._once else ""
        debug = error if self._log.isEnabledFor(logging.DEBUG) else None
        text = f"{message}: %s{suffix}"
        self._log.log(self._level, text, *arguments, describe(error), exc_info=debug)

    @contextmanager
    def suppressed(
        self,
        message: str,
        *arguments: object,
        only: type[Exception] = Exception,
    ) -> Iterator[None]:
        """Note and suppress exceptions of the type `only` that the body raises."""
        try:
            yield
        except only as error:
            self.note(error, message, *arguments)


def describe(error: Exception) -> str:
    """Return the error's text with the hint of a PktexpError; its type where it has no text."""
    hint = getattr(error, "hint", "")
    text = str(error) or type(error).__name__
    return f"{text} ({hint})" if hint else text
