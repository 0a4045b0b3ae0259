"""Segments that TCP sends again, against the kernel's own count of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.netns import Namespace, connect
from support.service import Page, select, serving, wait_for
from support.traffic import Side, addressed, connection

Pair = tuple[Namespace, Namespace]
Sides = tuple[Side, Side]
RETRANSMITTED = "pktexp_tcp_retransmitted_segments_total"


@pytest.fixture
def sides(pair: Pair) -> Iterator[Sides]:
    with addressed(*pair) as both:
        yield both


def by_interface(page: Page) -> dict[str, int]:
    return {dict(key)["interface"]: int(n) for key, n in select(page, RETRANSMITTED).items()}


def test_segments_sent_again_to_a_peer_that_is_gone_are_counted(sides: Sides) -> None:
    a, b = sides
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        _, client = connection(a, b)
        a.drop("input", "tcp dport 80")
        client.send(b"anybody?")
        wait_for(lambda: b.statistic("TcpRetransSegs") >= 3)
        wait_for(lambda: by_interface(service.page()) == {"vb": b.statistic("TcpRetransSegs")})


def test_lost_segments_of_a_transfer_are_counted_one_by_one(sides: Sides) -> None:
    a, b = sides
    a.drop("input", "tcp dport 80 tcp flags & (syn|fin) == 0 numgen random mod 100 < 5")
    with serving(b.namespace) as service:
        service.wait_until_attached("vb")
        server, client = connection(a, b)
        for _ in range(200):
            client.sendall(bytes(20_000))
            received = 0
            while received < 20_000:
                received += len(server.recv(65536))
        assert b.statistic("TcpRetransSegs") > 10
        wait_for(lambda: by_interface(service.page()) == {"vb": b.statistic("TcpRetransSegs")})


def test_another_namespaces_segments_are_not_counted(
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
