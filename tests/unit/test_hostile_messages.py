"""Records, netlink messages and the API server's events of whatever bytes: taken, or refused."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pktexp.bpf.flowcache import FlowCache
from pktexp.flows.table import FlowTable
from pktexp.kubernetes.answers import GoneError, RefusedError, parse_event
from pktexp.netlink.linkinfo import INTERFACE_INFO, Attribute, parse_link
from pktexp.netlink.rtnetlink import HEADER, attribute, attributes, messages
from pktexp.packet.records import (
    CACHE_MISSES,
    EPOCH,
    FLOW_RECORD,
    FLOW_SET,
    FLOW_WAYS,
    RING_RECORD,
)

BYTES = st.binary(max_size=200)
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from([0, 0x8000, *Attribute]), st.binary(max_size=24)), max_size=12
)
LINK = INTERFACE_INFO.pack(0, 1, 7, 1, 0)
RECORD = st.binary(min_size=FLOW_RECORD.itemsize, max_size=FLOW_RECORD.itemsize)
MOST = 1 << 40  # bytes of a record: more than 32 bits of packets will ever have
EVENT = (
    b'{"type":"ADDED","object":{"metadata":{"name":"web","namespace":"shop","uid":"u",'
    b'"resourceVersion":"5"},"spec":{"hostNetwork":false},"status":{"phase":"Running",'
    b'"startTime":"2026-01-01T00:00:00Z","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}}}'
)
PIECES = st.sampled_from(
    (
        b"null",
        b"[]",
        b"{}",
        b'"',
        b"\\ud800",
        b"1e999",
        b"-1",
        b"ERROR",
        b"BOOKMARK",
        b"::1",
        b"\xff",
    )
)


@given(data=BYTES)
def test_messages_of_any_bytes_are_parsed_to_an_end(data: bytes) -> None:
    bodies = [body for _, _, body in messages(data)]
    assert sum(map(len, bodies)) <= len(data) * (len(data) // HEADER.size)
    assert all(len(value) <= len(data) for value in attributes(data, 0).values())


@given(told=ATTRIBUTES)
def test_attributes_are_read_as_written(told: list[tuple[int, bytes]]) -> None:
    body = LINK + b"".join(attribute(kind, value) for kind, value in told)
    assert attributes(body, len(LINK)) == {kind & 0x3FFF: value for kind, value in told}


@given(told=ATTRIBUTES, cut=st.integers(0, 40))
def test_link_of_any_attributes_is_shown_or_counted_as_a_failure(
    told: list[tuple[int, bytes]], cut: int
) -> None:
    body = LINK + b"".join(attribute(kind, value) for kind, value in told)
    with contextlib.suppress(struct.error, IndexError):  # interfaces.py counts whatever is raised
        link = parse_link(body[: len(body) - cut])
        texts = (link.name, link.alias, link.kind, link.bus, link.address)
        assert all(text.encode().decode() == text for text in texts)


@settings(deadline=None)
@given(
    content=st.lists(RECORD, max_size=40),
    limit=st.integers(1, 8),
    halves=st.integers(0, 40),
)
def test_records_of_any_content_sum_to_their_amounts(
    content: list[bytes], limit: int, halves: int
) -> None:
    batch = np.zeros(len(content), RING_RECORD)
    batch["flow"] = np.frombuffer(b"".join(content), FLOW_RECORD)
    batch["flow"]["bytes"] %= MOST
    batch["flow"]["packets"] |= 1  # a record of no packets is none
    table = FlowTable(limit)
    table.merge(batch[:halves])
    table.merge(batch[halves:])
    snapshot = table.snapshot(batch["flow"]["interface"].tolist())
    for unit, shown in (("packets", snapshot.packets), ("bytes", snapshot.bytes)):
        rest = sum(getattr(tally, unit) for tally in snapshot.others.values())
        assert int(shown.sum()) + rest == int(batch["flow"][unit].sum(dtype=np.uint64))


@settings(deadline=None)
@given(content=st.binary(min_size=2 * FLOW_SET.itemsize, max_size=2 * FLOW_SET.itemsize))
def test_cache_entries_of_any_content_are_drained_once(content: bytes) -> None:
    sets = np.frombuffer(bytearray(content), FLOW_SET).reshape(1, 2, 1)
    told = int(np.count_nonzero(sets["ways"]["flow"]["packets"]))
    cache = FlowCache(np.zeros(1, EPOCH), sets, np.zeros(1, CACHE_MISSES), lambda: None)
    drained = [len(batch) for _ in range(4) for batch in cache.drain()]
    assert sum(drained) == told <= 2 * FLOW_WAYS


@settings(deadline=None)
@given(at=st.integers(0, len(EVENT)), size=st.integers(0, 30), put=PIECES | st.binary(max_size=8))
@example(at=42, size=0, put=b'"a":' + b"[" * 5000)
@example(at=25, size=1, put=b"[" * 5000)
def test_edited_event_is_applied_or_refused(at: int, size: int, put: bytes) -> None:
    with contextlib.suppress(ValueError, GoneError, RefusedError):
        kind, item = parse_event(EVENT[:at] + put + EVENT[at + size :])
        assert kind
        if pod := item.pod():
            text = pod.name + pod.namespace
            assert text.encode().decode() == text
