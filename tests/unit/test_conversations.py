"""Conversations: both directions in one row, each packet counted at one interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pktexp.flows.table import FlowSnapshot
from pktexp.interfaces.leases import Lease
from pktexp.live.flows import Flows, Query
from pktexp.live.flowservices import FlowServices
from pktexp.live.interfaces import classes, interfaces
from pktexp.live.sample import Details, Events, FlowReading, Sample
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction, IpClass, PacketClass
from pktexp.packet.records import FLOW_KEY, SIZE_BUCKETS
from support.service.samples import link

IN, OUT = Direction.INGRESS, Direction.EGRESS
TCP = PacketClass.IPV4 + IpClass.TCP
A, B = (10, 0, 0, 1), (10, 0, 0, 2)

Seen = tuple[str, Direction, tuple[int, ...], int, tuple[int, ...], int, int]
"""interface, direction, source, its port, dest, its port, bytes"""


def sample(at: float, seen: list[Seen], links: dict[str, Link]) -> Sample:
    """A sample in which these flows are all there was; a packet has 100 bytes."""
    names = list(links)
    keys = np.zeros(len(seen), FLOW_KEY)
    sums = np.array([bytes_ for *_, bytes_ in seen], np.uint64)
    totals = np.zeros((len(names), 2, PacketClass.COUNT, 2), np.uint64)
    for key, (name, direction, source, sport, dest, dport, bytes_) in zip(keys, seen, strict=True):
        row = names.index(name)
        key["interface"], key["direction"], key["packet_class"] = row + 1, direction, TCP
        key["saddr"][:4], key["daddr"][:4], key["ports"] = source, dest, (sport, dport)
        totals[row, direction, TCP] += np.array((bytes_ // 100, bytes_), np.uint64)
    hashes = np.arange(len(keys), dtype=np.uint64)
    snapshot = FlowSnapshot(hashes, keys, sums // np.uint64(100), sums, {})
    return Sample(
        at=at,
        now=1_800_000_000 + at,
        second=int(at),
        leases=[Lease(name, row + 1, row) for row, name in enumerate(names)],
        directions=(IN, OUT),
        classes=totals,
        sizes=np.zeros((len(names), 2, SIZE_BUCKETS), np.uint64),
        lost=np.zeros((len(names), 2, 2), np.uint64),
        hooks={},
        links=links,
        events=Events(0, 0),
        cpu=0,
        flows=FlowReading(at, snapshot),
        details=Details({}, [], {}, None, {}),
    )


def grown(seen: list[Seen], links: dict[str, Link]) -> list[Sample]:
    """Two samples, five seconds apart, between which the flows did these bytes."""
    before: list[Seen] = [(*flow[:-1], 0) for flow in seen]
    return [sample(1, before, links), sample(6, seen, links)]


def ask(samples: list[Sample], **changed: Any) -> dict[str, Any]:
    query: dict[str, Any] = {"top": 20, "sort": "bytes_per_second", "interface": "*"}
    query |= dict.fromkeys(("direction", "protocol", "search"), "") | {"view": "conversations"}
    document = Flows(FlowServices())(samples, Query(**query | changed))
    assert document
    return document


# A transfer from a pod by a bridge out of the host: 6,000 bytes one way, 500 the other.
STACK = {
    "veth1": link("veth1", ifindex=11, master=20),
    "veth2": link("veth2", ifindex=12, master=20),
    "br0": link("br0", ifindex=20),
    "out": link("out", ifindex=30, bus="pci"),
}
CROSSED: list[Seen] = [
    *[(name, d, A, 40000, B, 443, 6000) for name, d in (("veth1", IN), ("br0", IN), ("out", OUT))],
    *[(name, d, B, 443, A, 40000, 500) for name, d in (("veth1", OUT), ("br0", OUT), ("out", IN))],
]


def test_transfer_across_a_bridge_is_one_row_at_the_outer_interface() -> None:
    document = ask(grown(CROSSED, STACK))
    (row,) = document["flows"]
    assert (row["interface"], row["source"], row["dest"]) == ("out", "10.0.0.1", "10.0.0.2:443")
    assert (row["forward"]["bytes"], row["backward"]["bytes"], row["bytes"]) == (6000, 500, 6500)
    assert row["forward"]["bytes_per_second"] == 1200
    assert row["backward"]["bytes_per_second"] == 100
    assert document["total"]["bytes_per_second"] == 1300
    assert row["share"] == 1


@pytest.mark.parametrize(
    ("without", "nearest"),
    [((), "out"), (("out",), "br0"), (("out", "br0"), "veth1")],
)
def test_conversation_is_at_the_interface_nearest_to_the_outside(
    without: tuple[str, ...], nearest: str
) -> None:
    seen = [flow for flow in CROSSED if flow[0] not in without]
    (row,) = ask(grown(seen, STACK))["flows"]
    assert row["interface"] == nearest


def test_interface_that_is_asked_for_shows_its_own_traffic() -> None:
    document = ask(grown(CROSSED, STACK), interface="veth1")
    assert [row["interface"] for row in document["flows"]] == ["veth1"]
    assert document["total"]["bytes_per_second"] == 1300


def test_class_total_leaves_out_an_interface_that_has_ports() -> None:
    told = classes(grown(CROSSED, STACK))
    assert told["virtual"]["ingress"]["bytes"] == 6000  # veth1; br0 has the same packets
    assert told["physical"]["egress"]["bytes"] == 6000
    rows = {row["name"]: row for row in interfaces(grown(CROSSED, STACK), STACK)}
    assert (rows["veth1"]["master"], rows["br0"]["ports"], rows["out"]["ports"]) == ("br0", 2, 0)


@pytest.mark.parametrize(
    ("sport", "dport", "ends"),
    [
        (40000, 443, ("10.0.0.1", "10.0.0.2:443")),
        (443, 40000, ("10.0.0.2", "10.0.0.1:443")),
        (50000, 40000, ("10.0.0.1", "10.0.0.2:40000")),  # both are ephemeral: the lower serves
        (22, 443, ("10.0.0.2", "10.0.0.1:22")),
        (0, 443, ("10.0.0.1", "10.0.0.2:443")),  # --flows services
        (0, 0, ("10.0.0.1", "10.0.0.2")),  # --flows hosts: the side that sent more
    ],
)
def test_serving_side_is_the_destination_with_its_port(
    sport: int, dport: int, ends: tuple[str, str]
) -> None:
    seen: list[Seen] = [
        ("out", OUT, A, sport, B, dport, 700),
        ("out", IN, B, dport, A, sport, 300),
    ]
    (row,) = ask(grown(seen, STACK))["flows"]
    assert (row["source"], row["dest"]) == ends
    assert {row["forward"]["bytes"], row["backward"]["bytes"]} == {700, 300}


def test_source_is_the_sender_where_there_are_no_ports() -> None:
    seen: list[Seen] = [("out", OUT, B, 0, A, 0, 700), ("out", IN, A, 0, B, 0, 300)]
    (row,) = ask(grown(seen, STACK))["flows"]
    assert (row["source"], row["dest"]) == ("10.0.0.2", "10.0.0.1")
    assert (row["forward"]["bytes"], row["backward"]["bytes_per_second"]) == (700, 60)


def test_connections_to_one_service_are_one_conversation() -> None:
    seen: list[Seen] = [("out", OUT, A, 40000 + i, B, 443, 100) for i in range(5)]
    (row,) = ask(grown(seen, STACK))["flows"]
    assert row["forward"]["bytes"] == 500


def test_packet_on_loopback_counts_once_though_it_is_seen_twice() -> None:
    links = {"lo": link("lo", ifindex=1, hardware_type=772)}
    seen: list[Seen] = [("lo", d, A, 40000, A, 80, 900) for d in (OUT, IN)]
    (row,) = ask(grown(seen, links))["flows"]
    assert row["forward"]["bytes"] == 900


def test_search_finds_conversations_by_the_address_of_either_side() -> None:
    for text, found in (("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 0)):
        assert ask(grown(CROSSED, STACK), search=text)["matched"] == found


def test_rows_beyond_top_are_summed_as_more() -> None:
    seen: list[Seen] = [("out", OUT, A, 40000, (10, 0, 1, i), 443, 100 * i) for i in range(1, 6)]
    document = ask(grown(seen, STACK), top=2)
    assert [row["bytes"] for row in document["flows"]] == [500, 400]
    assert document["more"]["flows"] == 3
    assert document["more"]["bytes_per_second"] == (100 + 200 + 300) / 5
    assert document["other"]["bytes_per_second"] == 0


def test_no_flows_make_an_empty_document() -> None:
    document = ask(grown([], STACK))
    assert (document["flows"], document["matched"]) == ([], 0)
