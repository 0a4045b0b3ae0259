"""Known packets through a pair of cards, against those that pktexp counts."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from machines.pairs import Cards
from support.netns.namespace import Namespace
from support.netns.traffic import receive
from support.patience import joined
from support.service.process import Page, Service, total

Sums = tuple[int, int]
"""packets, bytes"""

BURST = 20  # frames between pauses: an emulated card has few buffers
PAUSE = 0.01  # seconds
SETTLING = 0.5  # seconds between pages until two are alike
LOOKS = 20
PORT = 5001
WINDOW = 1 << 16  # bytes on their way, for the few buffers


class Counts:
    """What a service counts of the traffic from one card to the other."""

    def __init__(self, service: Service, cards: Cards) -> None:
        self._service, self._cards = service, cards

    def frames(self, frame: bytes, number: int) -> dict[str, Sums]:
        """Send frames; return those sent, received by the card, and counted."""
        sent = (number, number * len(frame))
        return {"sent": sent} | self._during(lambda: self._send(frame, number), sent)

    def connection(self, size: int) -> dict[str, Sums]:
        """Send so many bytes over TCP; the sender's queueing discipline says what was sent."""
        before = queued(self._cards.sender, self._cards.sending)
        found = self._during(lambda: transfer(self._cards, size), (0, size))
        return {"sent": less(queued(self._cards.sender, self._cards.sending), before)} | found

    def counted(self) -> Sums:
        """Return the ingress of the counted interface."""
        return ingress(self._service.page(), self._cards.counted)

    def settled(self, least: Sums) -> Sums:
        """Return it once it no longer changes and, if that ever happens, has reached a least."""
        last = (-1, -1)
        for _ in range(LOOKS):
            if (now := self.counted()) == last and now >= least:
                break
            last = now
            time.sleep(SETTLING)
        return last

    def _during(self, send: Callable[[], None], sent: Sums) -> dict[str, Sums]:
        before, received = self.settled((0, 0)), self._received()
        send()
        counted = less(self.settled((before[0] + sent[0], before[1])), before)
        return {"received": less(self._received(), received), "counted": counted}

    def _received(self) -> Sums:
        return self._cards.counter.statistics(self._cards.counted)

    def _send(self, frame: bytes, number: int) -> None:
        with self._cards.sender.packet_socket(self._cards.sending) as raw:
            for n in range(number):
                raw.send(frame)
                if n % BURST == BURST - 1:
                    time.sleep(PAUSE)


def ingress(page: Page, interface: str) -> Sums:
    """Return packets and bytes of an interface's ingress."""
    site = {"interface": interface, "direction": "ingress"}
    names = ("pktexp_packets_total", "pktexp_bytes_total")
    packets, size = (total(page, name, **site) for name in names)
    return packets, size


def less(after: Sums, before: Sums) -> Sums:
    """Return the difference."""
    return after[0] - before[0], after[1] - before[1]


def queued(namespace: Namespace, interface: str) -> Sums:
    """Return what an interface's queueing discipline passed on; it knows large segments' parts."""
    command = ("tc", "-s", "-j", "qdisc", "show", "dev", interface)
    disciplines: list[dict[str, Any]] = json.loads(namespace.run(*command))
    root = next(each for each in disciplines if each.get("root"))
    return root["packets"], root["bytes"]


def transfer(cards: Cards, size: int) -> None:
    """Send so many bytes over a TCP connection."""
    with cards.counter.entered():
        listener = socket.create_server((cards.address, PORT))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    with cards.sender.entered():
        client = socket.create_connection((cards.address, PORT))
    server, _ = listener.accept()
    with listener, client, server:
        thread = threading.Thread(target=receive, args=(server, size))
        thread.start()
        client.sendall(bytes(size))
        joined(thread)
