"""Scrapes at the same time, under traffic: counters only grow, and nothing counted is missing."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.netns.namespace import Namespace
from support.patience import joined
from support.service.process import Page, Service, parse, serving, total

SCRAPERS, SCRAPES, FLOWS = 3, 15, 300
ENDED = "pktexp_flow_cache_drains_total"

Answer = tuple[float, float, Page]
"""when the request was sent, when the page was there, and the page"""


@pytest.fixture
def pair() -> Iterator[tuple[Service, Namespace]]:
    """A service with fewer places for flows than there are, and a namespace that sends to it."""
    a, b = Namespace(), Namespace()
    try:
        a.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", b.name)
        for namespace in (a, b):
            namespace.run("ip", "link", "set", "v0", "up")
        with serving(b, "--interfaces", "v0", "--max-flows", "100") as service:
            yield service, a
    finally:
        a.remove()
        b.remove()


def send(sender: socket.socket, stop: threading.Event) -> None:
    """Send frames of many flows, of different weight, until stopped."""
    start = b"\x02" * 12 + b"\x08\x00" + bytes.fromhex("4500002e000000004011000000000000c0000202")
    frames = [start[:26] + b"\x0a\0" + i.to_bytes(2, "big") + start[30:] for i in range(FLOWS)]
    ends = bytes.fromhex("04d20009001a0000") + bytes(18)
    for i in itertools.cycle(range(FLOWS)):
        if stop.is_set():
            return
        for _ in range(1 + i % 5):
            sender.send(frames[i] + ends)


def scrape(service: Service, answers: list[Answer]) -> None:
    for _ in range(SCRAPES):
        sent = time.monotonic()
        page = parse(service.text())
        answers.append((sent, time.monotonic(), page))


def test_concurrent_pages_under_traffic_have_all_that_was_counted(
    pair: tuple[Service, Namespace],
) -> None:
    service, other = pair
    answers: list[Answer] = []
    stop = threading.Event()
    with other.packet_socket("v0") as sender:
        threads = [threading.Thread(target=send, args=(sender, stop))]
        threads += [
            threading.Thread(target=scrape, args=(service, answers)) for _ in range(SCRAPERS)
        ]
        for thread in threads:
            thread.start()
        joined(*threads[1:])
        stop.set()
        joined(threads[0])
    check(answers)


def check(answers: list[Answer]) -> None:
    compared = 0
    for _, _, page in answers:
        assert attributed(page) <= counted(page)
    for (_, there, former), (sent, _, latter) in itertools.permutations(answers, 2):
        if there < sent:
            assert not {key for key in lasting(former) if latter[key] < former[key]}
        # A drain began between the two, even if the scrape did not wait for one to its end.
        if there < sent and total(latter, ENDED) >= total(former, ENDED) + 2:
            assert attributed(latter) >= counted(former)
            compared += 1
    assert compared


def lasting(page: Page) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """The counters that no flow's loss of its place can end."""
    flows = {
        key for key in page if key[0].startswith("pktexp_flow_") and ("source", "other") in key[1]
    }
    return flows | {key for key in page if key[0] in ("pktexp_packets_total", "pktexp_bytes_total")}


def attributed(page: Page) -> int:
    return total(page, "pktexp_flow_packets_total")


def counted(page: Page) -> int:
    return total(page, "pktexp_packets_total")
