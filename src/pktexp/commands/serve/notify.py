"""Datagrams to the service manager, as sd_notify(3) has them; supervision.py says what goes in.

Own code, as no library on PyPI does it all: sdnotify's last release is of 2017, systemd-watchdog
knows neither reloading nor stopping, and cysystemd brings two megabytes of libsystemd with it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds; a datagram waits only while the manager's queue is full


class Notifier:
    """Tells the service manager, if there is one; nothing is ever raised."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """`environment` has where (NOTIFY_SOCKET), and how often (WATCHDOG_USEC)."""
        path = environment.get("NOTIFY_SOCKET", "")
        # An at sign stands for the zero byte of the abstract name space (unix(7)).
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._watchdog = _watchdog(environment)
        self._failed = False

    @property
    def listening(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    @property
    def watchdog(self) -> float | None:
        """Seconds within which it wants to hear from this process, again and again."""
        return self._watchdog if self.listening else None

    def ready(self, status: str) -> None:
        """Started, or done with reloading."""
        self._send("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """All is well; `status` is what people read."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def unwell(self, status: str) -> None:
        """The same without feeding the watchdog."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Reading files again, until ready; with the time, as Type=notify-reload wants (253)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self._send("STOPPING=1")

    def _send(self, *assignments: str) -> None:
        if not self.listening:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(PATIENCE)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("systemd cannot be told how it goes: %s (said once)", error)
            self._failed = True


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Seconds, if this process is the one that is watched (sd_watchdog_enabled(3))."""
    period = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(period) / 1e6 if period.isdecimal() and int(period) and watched else None
