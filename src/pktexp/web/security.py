"""The web configuration in force: read at the start, on SIGHUP, and when a file changes.

Files are checked once a second. A new configuration applies to open connections, too.
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
from pktexp.web.tlscontext import configure_context

CHECK_INTERVAL = 1.0  # seconds between checks of the files

Stamps = Mapping[Path, tuple[int, int] | None]
"""inode and modification time in nanoseconds, by file; None for a missing file"""


@dataclass(frozen=True)
class State:
    """The configuration and the TLS context of one reading of the files."""

    config: WebConfig
    context: ssl.SSLContext | None
    """None for plain HTTP"""


class Security:
    """The configuration of a file, and the number of `refused` requests by HTTP status.

    Without a file there is neither TLS nor authentication.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._loaded: Stamps = {}  # at the last reading, successful or not
        self._latest: Stamps = {}  # at the last check
        self.state = State(WebConfig(), None)
        self.refused: Counter[int] = Counter()

    def read(self) -> None:
        """Read the files and put them in force.

        Raises PktexpError and keeps the previous state if a file is invalid, or if less would be
        required of clients than before.
        """
        if self._path is None:
            return
        self._loaded = _stamps(self._path, self.state.config)
        config = read(self._path)
        self._loaded = _stamps(self._path, config)
        context = None
        if config.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            configure_context(config.tls, context)
        if dropped := _dropped(self.state.config, config):
            hint = "complete the file, or restart pktexp to accept the change"
            raise PktexpError(f"{self._path}: a reload must not remove {dropped}", hint)
        self.state = State(config, context)

    @property
    def scheme(self) -> str:
        """Return the scheme of the service's URL."""
        return "https" if self.state.context else "http"

    async def follow(self, reload: Callable[[], Awaitable[None]]) -> None:
        """Call `reload` whenever a file has changed, until cancelled."""
        while self._path:
            await asyncio.sleep(CHECK_INTERVAL)
            if self.changed():
                await reload()

    def changed(self) -> bool:
        """Return whether files differ from those last read, and are the same as at the last call.

        A file that is still being written differs from one call to the next.
        """
        before = self._latest
        self._latest = {path: _stamp(path) for path in self._loaded}
        return self._latest != self._loaded and self._latest == before


def _dropped(before: WebConfig, now: WebConfig) -> str:
    """Return the first key that protected the service before and no longer would; "" if none."""
    if before.users and not now.users:
        return "basic_auth_users"
    if before.tls is None:
        return ""
    if now.tls is None:
        return "tls_server_config"
    if before.tls.allowed_names and not now.tls.allowed_names:
        return "client_allowed_sans"
    return "client_auth_type" if now.tls.client_auth < before.tls.client_auth else ""


def _stamps(path: Path, config: WebConfig) -> Stamps:
    return {file: _stamp(file) for file in (path, *(config.tls.files if config.tls else ()))}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
