"""Packets that go past the egress hook are shown, and ordinary traffic is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from support.netns.namespace import Namespace
from support.netns.traffic import A, B, Side, addressed, transfer
from support.netns.tun import tun
from support.packets.cases import ETHER, V4
from support.patience import joined
from support.service.process import Page, Service, select, serving, total

Pair = tuple[Namespace, Namespace]
FAMILY = "pktexp_interface_unseen_packets_total"
FRAME = bytes(ETHER / V4)
PACKET_QDISC_BYPASS = 20  # include/uapi/linux/if_packet.h
SOL_PACKET = 263


def unseen(page: Page) -> dict[tuple[str, str], int]:
    found = {}
    for key, value in select(page, FAMILY).items():
        labels = dict(key)
        found[labels["interface"], labels["direction"]] = int(value)
    return found


def bypass(namespace: Namespace, interface: str, frames: int) -> None:
    """Send frames past the queueing discipline and the hooks."""
    with namespace.packet_socket(interface) as raw:
        raw.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        for _ in range(frames):
            raw.send(FRAME)


@pytest.fixture
def service(pair: Pair) -> Iterator[Service]:
    a, _ = pair
    a.send("va", [FRAME] * 7)  # before anything is attached
    with serving(a) as service:
        service.wait_until_attached("va")
        yield service


def test_packets_past_the_hook_are_those_unseen(pair: Pair, service: Service) -> None:
    a, _ = pair
    assert unseen(service.page()) == {("va", "egress"): 0}
    seen = total(service.page(), "pktexp_packets_total", interface="va", direction="egress")
    for rounds in (1, 2):
        bypass(a, "va", 100)
        a.send("va", [FRAME] * 10)
        assert unseen(service.page()) == {("va", "egress"): 100 * rounds}
    page = service.page()
    after = total(page, "pktexp_packets_total", interface="va", direction="egress")
    assert after - seen == 20


def test_value_stays_when_segments_hide_packets(pair: Pair, service: Service) -> None:
    a, b = pair
    service.page()
    bypass(a, "va", 5)
    assert unseen(service.page()) == {("va", "egress"): 5}
    with addressed(a, b) as (one, other):
        transfer(one.namespace, other.namespace)
    assert unseen(service.page()) == {("va", "egress"): 5}


def ordinary(a: Side, b: Side) -> None:
    """Send datagrams, fragments, segments, echoes and broadcasts."""
    datagrams = a.open()
    for size in (1, 1000, 30_000):  # the last in fragments
        for _ in range(50):
            datagrams.sendto(bytes(size), (B, 9))
    transfer(a.namespace, b.namespace)
    a.namespace.run("ping", "-q", "-i", "0.01", "-c", "20", "-s", "20000", B)
    b.namespace.run("ping", "-q", "-i", "0.01", "-c", "20", A)
    a.namespace.send("va", [b"\xff" * 6 + FRAME[6:]] * 20)


def test_ordinary_traffic_is_never_unseen(pair: Pair) -> None:
    a, b = pair
    with addressed(a, b) as sides, serving(a) as near, serving(b) as far:
        near.wait_until_attached("va")
        far.wait_until_attached("vb")
        near.page()
        far.page()
        done = threading.Event()
        worst: list[int] = []

        def scrape() -> None:
            while not done.is_set():
                worst.extend(value for s in (near, far) for value in unseen(s.page()).values())

        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            for _ in range(3):
                ordinary(*sides)
        finally:
            done.set()
            joined(thread)
        assert len(worst) > 4
        assert set(worst) == {0}


def test_value_never_falls_and_counts_on_after_changes(pair: Pair, service: Service) -> None:
    a, _ = pair
    service.page()
    bypass(a, "va", 30)
    assert unseen(service.page()) == {("va", "egress"): 30}
    a.ip("link", "set", "va", "netns", pair[1].name)
    pair[1].ip("link", "set", "va", "up")
    bypass(pair[1], "va", 50)  # in a namespace where nothing counts
    pair[1].ip("link", "set", "va", "netns", a.name)
    a.ip("link", "set", "va", "up")
    page = service.page_when(lambda page: unseen(page).get(("va", "egress")) is not None)
    service.wait_until_attached("va")
    page = service.page()
    assert unseen(page) == {("va", "egress"): 30}
    a.wait_for_carrier("va")
    bypass(a, "va", 4)
    assert unseen(service.page()) == {("va", "egress"): 34}


def test_other_kinds_are_left_out(pair: Pair) -> None:
    a, _ = pair
    a.ip("link", "add", "br0", "type", "bridge")
    a.ip("link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "dev", "va")
    with tun(a, "tun0"), serving(a) as service:
        service.wait_until_attached("tun0")
        assert unseen(service.page()) == {("va", "egress"): 0, ("tun0", "egress"): 0}


def test_without_egress_there_is_no_series(namespaces: Callable[[], Namespace]) -> None:
    a = namespaces()
    a.ip("link", "add", "va", "type", "veth", "peer", "vb")
    with serving(a, "--no-egress") as service:
        service.wait_until_attached("va")
        assert unseen(service.page()) == {}
