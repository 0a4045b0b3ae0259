"""Packets sent from chosen CPUs, each with an address of its own, against those counted."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from machines.counts import ingress
from support.netns.namespace import Namespace
from support.patience import joined
from support.service.process import Page, Service, select, total

SIZE = 200  # bytes of a frame
BURST = 50  # packets between pauses
PAUSE = 0.005  # seconds
LOOKS = 20


class CpuCounts:
    """Sends from CPUs through a veth pair, and compares with the pages of a service."""

    def __init__(self, service: Service, sender: Namespace, frames: Sequence[bytes]) -> None:
        """`frames`: one of each CPU's address."""
        self._service, self._sender, self._frames = service, sender, frames
        self._sent: Counter[int] = Counter()

    def sent(
        self, cpus: Sequence[int], each: int, during: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Send from each CPU, doing something meanwhile; return sent, counted and attributed."""
        threads = [threading.Thread(target=self._send, args=(cpu, each)) for cpu in cpus]
        for thread in threads:
            thread.start()
        during()
        joined(*threads)
        self._sent.update(dict.fromkeys(cpus, each))
        pages = self._pages()
        last = pages[-1]
        packets = sum(self._sent.values())
        return {
            "sent": (packets, packets * SIZE),
            "counted": ingress(last, "vb"),
            "attributed": attributed(last),
            "wrong flows": self._wrong(last),
            "late pages": sum(ingress(page, "vb")[0] != attributed(page) for page in pages),
        }

    def _pages(self) -> list[Page]:
        """Return pages up to the first that is complete."""
        pages: list[Page] = []
        for _ in range(LOOKS):
            pages.append(self._service.page())
            if ingress(pages[-1], "vb")[0] == attributed(pages[-1]) == self._sent.total():
                break
            time.sleep(1)
        return pages

    def _wrong(self, page: Page) -> int:
        """Return how many flows do not have the packets of their CPU."""
        flows = select(page, "pktexp_flow_packets_total", interface="vb", direction="ingress")
        found = {dict(labels)["source"]: packets for labels, packets in flows.items()}
        return sum(found.get(address(cpu)) != number for cpu, number in self._sent.items())

    def _send(self, cpu: int, number: int) -> None:
        os.sched_setaffinity(0, [cpu])  # of this thread
        with self._sender.packet_socket("va") as raw:
            for n in range(number):
                raw.send(self._frames[cpu])
                if n % BURST == BURST - 1:
                    time.sleep(PAUSE)


def attributed(page: Page) -> int:
    """Return the packets of all flows at ingress; those without one are among them as `other`."""
    return total(page, "pktexp_flow_packets_total", interface="vb", direction="ingress")


def address(cpu: int) -> str:
    """Return the address that a CPU sends from."""
    return f"198.18.{cpu >> 8}.{cpu & 255}"
