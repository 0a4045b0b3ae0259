"""What the service manager is told (notify.py), and when; runs beside service.py.

The watchdog is fed by the event loop, while every ring is being read: if the loop hangs, or a
reader has died, the manager starts the service anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pktexp.commands.serve.notify import Notifier
from pktexp.commands.serve.reload import Reloader
from pktexp.flows.attribution import Attribution
from pktexp.interfaces.tracker import Interfaces
from pktexp.tasks import background

log = logging.getLogger(__name__)

REFRESH = 10.0  # seconds after which the status is told again


class Supervision:
    """Puts the status into words; `url`: where the metrics are."""

    def __init__(
        self, notifier: Notifier, interfaces: Interfaces, attribution: Attribution | None, url: str
    ) -> None:
        self._notifier = notifier
        self._interfaces = interfaces
        self._attribution = attribution
        self._url = url
        self._well = True

    @property
    def status(self) -> str:
        """One line for an operator."""
        counted, wanted = self._interfaces.counted
        of = f" of {wanted}" if counted < wanted else ""
        noun = "interface" if counted == wanted == 1 else "interfaces"
        return f"counting {counted}{of} {noun}, {self._url}"

    @property
    def interval(self) -> float:
        """Seconds between two messages: twice as often as the watchdog wants, at least."""
        watchdog = self._notifier.watchdog
        return min(REFRESH, watchdog / 2) if watchdog else REFRESH

    async def reload(self, reloader: Reloader) -> None:
        """Read the operator's files again, and say so meanwhile."""
        self._notifier.reloading()
        await reloader.reload()
        self._notifier.ready(self.status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ready at the start of the body, alive during it, stopping at its end."""
        self._notifier.ready(self.status)
        async with background(self._run()):
            try:
                yield
            finally:
                self._notifier.stopping()

    async def _run(self) -> None:
        while self._notifier.listening:
            await asyncio.sleep(self.interval)
            self.tell()

    def tell(self) -> None:
        """Once; a dead reader is said once in the log, and always in the status."""
        if self._attribution is None or self._attribution.alive:
            self._notifier.alive(self.status)
            return
        self._notifier.unwell("a ring buffer is not being read")
        if self._well:
            log.error("a ring buffer is not being read; systemd is not told that all is well")
        self._well = False
