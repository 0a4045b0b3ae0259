"""The web configuration in force, which connections.py and access.py ask; service.py has it read.

Its files are looked at once a second, so that what they say also goes for connections that stay.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pktexp.errors import PktexpError
from pktexp.web.config import WebConfig, read
from pktexp.web.tlscontext import make_context

LOOK = 1.0  # seconds between looks at whether files have changed

Stamps = Mapping[Path, tuple[int, int] | None]
"""by file: inode and time of change; None where there is none"""


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
        self._read: Stamps = {}
        self._seen: Stamps = {}
        self.state = State(WebConfig(), None)
        self.refused: Counter[int] = Counter()

    def read(self) -> None:
        """Put the files in force for what comes from now on; PktexpError if one is bad."""
        if self._path is None:
            return
        self._read = _look(self._path, self.state.config)
        config = read(self._path)
        self._read = _look(self._path, config)
        context = None
        if config.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            make_context(config.tls, context)
        if lost := _lost(self.state.config, config):
            hint = "a file that is half written looks so; if it is meant, restart"
            raise PktexpError(f"{self._path}: {lost} is gone", hint)
        self.state = State(config, context)

    @property
    def scheme(self) -> str:
        """Of the service's URL."""
        return "https" if self.state.context else "http"

    async def follow(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Reload whenever a file has changed, until cancelled."""
        while self._path:
            await asyncio.sleep(LOOK)
            if self.changed():
                await reload()

    def changed(self) -> bool:
        """Whether a file is not what was last read, good or bad, and rests since the last look."""
        before = self._seen
        self._seen = {path: _stamp(path) for path in self._read}
        return self._seen != self._read and self._seen == before


def _lost(before: WebConfig, now: WebConfig) -> str:
    """What was asked of clients, and no longer would be."""
    if before.users and not now.users:
        return "basic_auth_users"
    if before.tls is None:
        return ""
    if now.tls is None:
        return "tls_server_config"
    if before.tls.allowed_names and not now.tls.allowed_names:
        return "client_allowed_sans"
    return "client_auth_type" if now.tls.client_auth < before.tls.client_auth else ""


def _look(path: Path, config: WebConfig) -> Stamps:
    return {file: _stamp(file) for file in (path, *(config.tls.files if config.tls else ()))}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
