"""The web configuration in force, which connections.py and access.py ask; service.py has it read.

Its files are looked at before a connection, as the exporter-toolkit does, at most once a second.
"""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pktexp.web.config import WebConfig, read
from pktexp.web.tls import make_context

LOOK = 1.0  # seconds between looks at whether files have changed

Stamps = Sequence[tuple[int, int] | None]
"""of each file: inode and time of change; None where there is none"""


@dataclass(frozen=True)
class State:
    """What one reading of the files gave."""

    config: WebConfig
    context: ssl.SSLContext | None
    """None without TLS"""


class Security:
    """Nothing is asked of clients without a file; `refused` counts requests by status."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamps: Stamps = ()
        self._looked = time.monotonic()
        self.state = State(WebConfig(), None)
        self.refused: Counter[int] = Counter()

    def read(self) -> None:
        """Put the files in force for what comes from now on; PktexpError if one is bad."""
        if self._path is None:
            return
        self._stamps = self._look(self.state.config)
        config = read(self._path)
        self._stamps = self._look(config)
        context = None
        if config.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            make_context(config.tls, context)
        self.state = State(config, context)

    @property
    def scheme(self) -> str:
        """Of the service's URL."""
        return "https" if self.state.context else "http"

    def changed(self) -> bool:
        """Whether a file is not what was last read, good or bad."""
        if self._path is None or time.monotonic() < self._looked + LOOK:
            return False
        self._looked = time.monotonic()
        return self._look(self.state.config) != self._stamps

    def _look(self, config: WebConfig) -> Stamps:
        files = [self._path, *(config.tls.files if config.tls else ())]
        return [_stamp(path) for path in files if path]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
