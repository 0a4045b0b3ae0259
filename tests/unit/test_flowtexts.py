"""Labels of many flows, against ipaddress, the client library's parser, and labels of one flow."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pktexp.flows.keylabels import Names, Owners, flow_labels, raw_keys
from pktexp.kubernetes.pods import Pod
from pktexp.metrics import flowlabels
from pktexp.metrics.flowlabels import flow_texts
from pktexp.packet import labels
from pktexp.packet.enums import LinkClass, PacketClass
from pktexp.packet.records import ARP_WITHOUT_ADDRESSES, FLOW_KEY, Records

NAMES = {7: "eth0", 8: 'we"ird\\ \n näme', 9: ""}
POD = Pod('sh"op\\', "wéb\n1", ())

# Runs of zeros make the short forms of IPv6.
ADDRESSES = st.lists(st.sampled_from([b"\0\0", b"\0\x0a", b"\x01\0", b"\xff\xff"]), min_size=8) | (
    st.lists(st.binary(min_size=2, max_size=2), min_size=8)
)
PORTS = st.sampled_from([0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10000, 65535]) | (
    st.integers(0, 65535)
)
CLASSES = st.sampled_from(sorted(labels.PACKET_CLASSES))
FLOWS = st.tuples(
    ADDRESSES, ADDRESSES, st.sampled_from(sorted(NAMES)), PORTS, PORTS, CLASSES, st.booleans()
)


def keys_of(*flows: Any) -> Records:
    """Flows of words of both addresses, interface, both ports, packet class, and direction."""
    keys = np.zeros(len(flows), FLOW_KEY)
    for row, (source, dest, interface, sport, dport, packet_class, egress) in enumerate(flows):
        for field, words in (("saddr", source), ("daddr", dest)):
            keys[field][row] = np.frombuffer(b"".join(words[:8]), np.uint8)
        keys["interface"][row], keys["ports"][row] = interface, (sport, dport)
        keys["packet_class"][row], keys["direction"][row] = packet_class, egress
    return keys


def parsed(texts: list[str]) -> list[dict[str, str]]:
    """The labels as Prometheus reads them."""
    page = "# TYPE x_total counter\n" + "".join(f"x_total{{{text}}} 1\n" for text in texts)
    (family,) = text_string_to_metric_families(page)
    return [sample.labels for sample in family.samples]


def one_by_one(keys: Records, names: Names, owners: Owners) -> list[dict[str, str]]:
    """The labels of one flow after the other."""
    flows = [flow_labels(raw, names, owners) for raw in raw_keys(keys)]
    found = [flow._asdict() for flow in flows if flow]
    return found if owners is not None else [dict(list(flow.items())[:5]) for flow in found]


def address(endpoint: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of an endpoint with this port."""
    host = endpoint.removesuffix(f":{port}") if port else endpoint
    return ipaddress.ip_address(host.strip("[]"))


@given(st.lists(FLOWS, min_size=1, max_size=50))
def test_texts_are_those_of_one_flow_at_a_time(flows: list[Any]) -> None:
    keys = keys_of(*flows)
    owners = {keys["saddr"][0].tobytes()[:size]: POD for size in (4, 16)}
    for owner in (None, {}, owners):
        assert parsed(list(flow_texts(keys, NAMES, owner))) == one_by_one(keys, NAMES, owner)


@given(st.lists(st.tuples(ADDRESSES, PORTS), min_size=1, max_size=50))
@example([([b"\0\0"] * 8, 0), ([b"\0\0"] * 7 + [b"\0\1"], 5)])
@example([([b"\0\0"] * 5 + [b"\xff\xff", b"\x01\x02", b"\x03\x04"], 5)])
def test_addresses_are_those_of_ipaddress(ends: list[Any]) -> None:
    for start, size in ((PacketClass.IPV4, 4), (PacketClass.IPV6, 16)):
        keys = keys_of(*((words, words, 7, port, port, start, False) for words, port in ends))
        for found, (words, port) in zip(
            parsed(list(flow_texts(keys, NAMES, None))), ends, strict=True
        ):
            raw = b"".join(words)[:size]
            expected = ipaddress.ip_address(raw)
            assert address(found["source"], port) == expected
            assert found["source"] == found["dest"]
            if any(raw[:10]):  # the C library writes some other addresses as ::1.2.3.4
                bracketed = f"[{expected}]" if size == 16 and port else str(expected)
                assert found["source"] == (f"{bracketed}:{port}" if port else bracketed)


def test_packets_without_addresses_have_empty_ones() -> None:
    words = [b"\x0a\0", b"\0\1", *[b"\0\0"] * 6]
    arp = (words, words, 7, 0, 0, LinkClass.ARP, False)
    keys = keys_of(arp, arp, ([b"\0\0"] * 8, [b"\0\0"] * 8, 7, 0, 0, LinkClass.LLDP, False))
    keys["saddr"][1, 8] = ARP_WITHOUT_ADDRESSES
    found = parsed(list(flow_texts(keys, NAMES, None)))
    assert [flow["source"] for flow in found] == ["10.0.0.1", "", ""]


def test_batches_give_the_same_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [[bytes((byte, 0))] * 8 for byte in range(10)]
    keys = keys_of(*((w, w, 7, 1, 2, PacketClass.IPV6, True) for w in words))
    whole = list(flow_texts(keys, NAMES, None))
    monkeypatch.setattr(flowlabels, "BATCH", 3)
    assert list(flow_texts(keys, NAMES, None)) == whole
