"""Echoes through a card at fixed intervals, and how many were not answered."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from support.netns.namespace import SO_RCVBUFFORCE, Namespace
from support.patience import joined, wait_for

INTERVAL = 0.01  # seconds
LATE = 3.0  # seconds without an answer after which none is expected
REQUEST, REPLY = 8, 0  # RFC 792
IP_HEADER = 20

_identifiers = itertools.count(1)


class Echo:
    """ICMP echoes to an address every 10 ms while the context is open; then their answers."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._address = address
        self._identifier = next(_identifiers)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._answered: set[int] = set()
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        joined(self._thread)
        self._socket.close()

    @property
    def lost(self) -> int:
        """Echoes without an answer."""
        return self.sent - len(self._answered)

    def wait(self, more: int) -> None:
        """Return when so many more have been sent."""
        end = self.sent + more
        wait_for(lambda: self.sent >= end)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() >= due:
                self._send()
                due += INTERVAL
            self._receive(max(0.0, due - time.monotonic()))
        while self.lost and self._receive(LATE):
            pass

    def _send(self) -> None:
        """Send the next one; it is lost if the card takes none."""
        payload = struct.pack("!BBHHI", REQUEST, 0, 0, self._identifier, self.sent << 16)
        content = payload[:2] + struct.pack("!H", checksum(payload)) + payload[4:]
        with contextlib.suppress(OSError):
            self._socket.sendto(content, (self._address, 0))
        self.sent += 1

    def _receive(self, seconds: float) -> bool:
        """Read what is there, or comes within so many seconds: whether there was anything."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        packet = self._socket.recv(2000)
        kind, _, _, identifier, number = struct.unpack_from("!BBHHH", packet, IP_HEADER)
        if (kind, identifier) == (REPLY, self._identifier):
            self._answered.add(number)
        return True


def checksum(content: bytes) -> int:
    """Return the checksum of content of even length (RFC 1071)."""
    words: tuple[int, ...] = struct.unpack(f"!{len(content) // 2}H", content)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)
