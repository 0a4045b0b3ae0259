"""Reports to the service manager: ready, status, watchdog pings, reload, stop.

The event loop sends the watchdog pings, as long as every ring buffer is being read: if the loop
hangs or a reader has died, the manager restarts the service.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pktexp.commands.serve.reload import Reloader
from pktexp.flows.attribution import Attribution
from pktexp.interfaces.tracker import Interfaces
from pktexp.tasks import background

log = logging.getLogger(__name__)

REFRESH = 10.0  # seconds between two reports of the status
SEND_TIMEOUT = 1.0  # seconds; a datagram waits only while the manager's queue is full


class Notifier:
    """Sends datagrams to the service manager, if there is one (sd_notify(3)); raises nothing.

    Own code, as no library on PyPI covers it: sdnotify's last release is of 2017, systemd-watchdog
    has neither reloading nor stopping, and cysystemd brings two megabytes of libsystemd.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read the socket (NOTIFY_SOCKET) and the watchdog's period (WATCHDOG_USEC)."""
        path = environment.get("NOTIFY_SOCKET", "")
        # An at sign stands for the zero byte of the abstract name space (unix(7)).
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._watchdog = _watchdog(environment)
        self._failed = False

    @property
    def listening(self) -> bool:
        """Whether a service manager is listening."""
        return bool(self._address)

    @property
    def watchdog(self) -> float | None:
        """Longest time between two watchdog pings, in seconds; None without a watchdog."""
        return self._watchdog if self.listening else None

    def ready(self, status: str) -> None:
        """Report the end of the start or of a reload."""
        self._send("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """Send a watchdog ping, with a status line for people."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def unwell(self, status: str) -> None:
        """Send the status line without a watchdog ping."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Report a reload; with the time, as Type=notify-reload requires (systemd 253)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report the stop."""
        self._send("STOPPING=1")

    def _send(self, *assignments: str) -> None:
        if not self.listening:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_TIMEOUT)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("sending the status to systemd failed: %s (logged once)", error)
            self._failed = True


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Return the period in seconds, if this process is watched (sd_watchdog_enabled(3))."""
    period = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(period) / 1e6 if period.isdecimal() and int(period) and watched else None


class Supervision:
    """Reports the state of the service; `url` is where the metrics are."""

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
        """The state of the service in one line."""
        counted, wanted = self._interfaces.counted
        of = f" of {wanted}" if counted < wanted else ""
        noun = "interface" if counted == wanted == 1 else "interfaces"
        return f"counting {counted}{of} {noun}, {self._url}"

    @property
    def interval(self) -> float:
        """Seconds between two reports: at most half the watchdog's period."""
        watchdog = self._notifier.watchdog
        return min(REFRESH, watchdog / 2) if watchdog else REFRESH

    async def reload(self, reloader: Reloader) -> None:
        """Reload the operator's files, and report the reload."""
        self._notifier.reloading()
        await reloader.reload()
        self._notifier.ready(self.status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Report ready, then pings while the context is open, then the stop."""
        self._notifier.ready(self.status)
        async with background(self._run()):
            try:
                yield
            finally:
                self._notifier.stopping()

    async def _run(self) -> None:
        while self._notifier.listening:
            await asyncio.sleep(self.interval)
            self.report()

    def report(self) -> None:
        """Send the status, with a watchdog ping unless a reader has died."""
        if self._attribution is None or self._attribution.alive:
            self._notifier.alive(self.status)
            return
        self._notifier.unwell("a ring buffer is not being read")
        if self._well:
            log.error("a ring buffer is not being read; withholding the systemd watchdog ping")
        self._well = False
