"""Set up log lines on standard error, as text or JSON."""

from __future__ import annotations

import logging
from types import TracebackType

from pythonjsonlogger.json import JsonFormatter

from pktexp.errors import escaped

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class TextFormatter(logging.Formatter):
    """One line per message, with control characters escaped; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        """Return the line of a message."""
        return escaped(super().formatMessage(record))

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 # logging's name
        """Return a traceback."""
        return "\n".join(map(escaped, super().formatException(ei).split("\n")))


def configure(level: str, form: str) -> None:
    """Log to standard error from `level` up, in one of FORMATS; warnings of Python are included."""
    handler = logging.StreamHandler()
    if form == "json":
        fields = ("asctime", "levelname", "name", "message")
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(list(fields), rename_fields=names))
    else:
        handler.setFormatter(TextFormatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)


def debug_lines(log: logging.Logger, source: str, text: str) -> None:
    """Log each line of a long text at debug level, after the name of its source."""
    for line in text.splitlines():
        log.debug("%s: %s", source, line)
