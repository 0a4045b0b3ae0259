"""Set up log lines on standard error, as text or JSON."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


def configure(level: str, form: str) -> None:
    """Log to standard error from `level` up, in one of FORMATS; warnings of Python are included."""
    handler = logging.StreamHandler()
    if form == "json":
        fields = ("asctime", "levelname", "name", "message")
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(list(fields), rename_fields=names))
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
