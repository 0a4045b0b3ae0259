"""Files of the operator's that SIGHUP reads again; service.py registers them.

A file that is wrong keeps `serve` from starting. Later it leaves what was read before in force, and
is counted: reloadmetrics.py shows it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from pktexp.errors import PktexpError

log = logging.getLogger(__name__)

Read = Callable[[], None]
"""reads the file and puts it in force as one step; PktexpError or OSError changes nothing"""


@dataclass
class File:
    """One of them, and how reading it went; `failures` only grows, `read_at` is in Unix time."""

    read: Read
    failures: int = 0
    good: bool = True
    read_at: float = 0.0


class Reloader:
    """Reads them one after another; `files` by what they are for."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._lock = asyncio.Lock()

    def add(self, name: str, read: Read) -> None:
        """Read now, and again at each reload; what is wrong with the file is raised."""
        read()
        self.files[name] = File(read, read_at=time.time())

    async def reload(self, *names: str) -> None:
        """Read these or, without names, all of them, in threads; nothing is raised."""
        async with self._lock:
            if not self.files:
                log.info("SIGHUP: no file was given that could be read again")
            for name in names or self.files:
                await self._reload(name, self.files[name])

    async def _reload(self, name: str, file: File) -> None:
        try:
            await asyncio.to_thread(file.read)
        except Exception as error:
            file.good = False
            file.failures += 1
            hint = f" ({error.hint})" if isinstance(error, PktexpError) else ""
            debug = log.isEnabledFor(logging.DEBUG)
            log.error(
                "%s: not read again, the former stays in force: %s%s",
                name,
                error,
                hint,
                exc_info=debug,
            )
        else:
            file.good, file.read_at = True, time.time()
            log.info("%s: read again", name)
