"""The operator's files, read at start and again on SIGHUP.

A wrong file keeps `serve` from starting. Later, a failed reload keeps the previous version of the
file in force, and is counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pktexp.failures import FailureCounter

log = logging.getLogger(__name__)

Read = Callable[[], None]
"""reads the file and puts it in force in one step; raises PktexpError or OSError before that"""


@dataclass
class File:
    """A file and the outcome of its last reading; `read_at` is in Unix time."""

    read: Read
    read_at: float
    good: bool = True
    failures: FailureCounter = field(default_factory=lambda: FailureCounter(log))


class Reloader:
    """Reads the files one after another; `files` by purpose."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._lock = asyncio.Lock()

    def add(self, name: str, read: Read) -> None:
        """Read a file now, and again at each reload. Raises what is wrong with it now."""
        read()
        self.files[name] = File(read, time.time())

    async def reload(self, *names: str) -> None:
        """Read the named files again, or all of them; failures are counted, never raised."""
        async with self._lock:
            if not self.files:
                log.info("SIGHUP: no file to reload")
            for name in names or self.files:
                await self._reload(name, self.files[name])

    async def _reload(self, name: str, file: File) -> None:
        before = file.failures.count
        with file.failures.suppressed("%s: reload failed, keeping the previous version", name):
            await asyncio.to_thread(file.read)
            file.read_at = time.time()
            log.info("%s: reloaded", name)
        file.good = file.failures.count == before
