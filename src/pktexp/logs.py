"""Log lines on standard error, as text or JSON; set up once by cli.py."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


def configure(level: str, form: str) -> None:
    """Send everything from `level` on to standard error."""
    handler = logging.StreamHandler()
    if form == "json":
        fields = ("asctime", "levelname", "name", "message")
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(list(fields), rename_fields=names))
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
