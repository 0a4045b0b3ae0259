"""Retransmitted TCP segments, against the kernel's own count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.netns.namespace import Namespace, connect
from support.netns.traffic import Side, addressed, connection, receive
from support.patience import wait_for
from support.service.process import Page, Service, select, serving

pytestmark = pytest.mark.alone

Pair = tuple[Namespace, Namespace]
Sides = tuple[Side, Side]
RETRANSMITTED = "pktexp_tcp_retransmitted_segments_total"


@pytest.fixture
def sides(pair: Pair) -> Iterator[Sides]:
    with addressed(*pair) as both:
        yield both


def by_interface(page: Page) -> dict[str, int]:
    found = {dict(key)["interface"]: int(n) for key, n in select(page, RETRANSMITTED).items()}
    return {name: segments for name, segments in found.items() if segments}


def agreed(service: Service, b: Side) -> dict[str, int]:
    """Return the segments by interface, when their sum is the kernel's count."""

    def look() -> dict[str, int] | None:
        sent = b.statistic("TcpRetransSegs") - b.statistic("TcpExtTCPRetransFail")
        found = by_interface(service.page())
        return found if sum(found.values()) == sent else None

    return wait_for(look) or {}


def test_retransmissions_to_an_absent_peer_are_counted(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        _, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(b"anybody?")
        wait_for(lambda: b.statistic("TcpRetransSegs") >= 3)
        assert agreed(service, b)["vb"] >= 3


def test_retransmissions_of_lost_segments_are_counted_each(sides: Sides) -> None:
    a, b = sides
    a.drop("input", "tcp dport 80 tcp flags & (syn|fin) == 0 numgen inc mod 15 == 0")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        server, client = connection(a, b)
        for _ in range(200):
            client.sendall(bytes(20_000))
            receive(server, 20_000)
        assert agreed(service, b)["vb"] > 10


def test_retransmissions_of_another_namespace_are_not_counted(
    sides: Sides, namespaces: Callable[[], Namespace]
) -> None:
    here = namespaces()
    connect(namespaces(), here, "vx", "vy")
    a, b = sides
    assert here.link("vy")["ifindex"] == b.namespace.link("vb")["ifindex"]
    with serving(here) as service:
        service.wait_until_attached("vy")
        _, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(b"anybody?")
        wait_for(lambda: b.statistic("TcpRetransSegs") >= 2)
        assert by_interface(service.page()) == {}


def test_segments_of_one_buffer_are_counted_each(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        server, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(bytes(200_000))
        wait_for(lambda: b.statistic("TcpRetransSegs") >= 2)
        a.namespace.run("nft", "flush", "ruleset")
        receive(server, 200_000)
        assert agreed(service, b)["vb"] > 2


def test_failed_retransmissions_are_not_counted(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        _, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(b"anybody?")
        wait_for(lambda: b.statistic("TcpRetransSegs"))
        b.drop("output", "tcp dport 80")
        wait_for(lambda: b.statistic("TcpExtTCPRetransFail") >= 2)
        assert agreed(service, b)["vb"] >= 1
