"""Captures written by scapy, and the packets that a replay counts in them."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from scapy.packet import Raw
from scapy.utils import RawPcapNgWriter, RawPcapWriter

from pktexp.commands.replay.report import report
from pktexp.commands.replay.run import Replayed
from pktexp.settings import Format

ETHERNET, RAW, IPV4, IPV6, WLAN = 1, 101, 228, 229, 105
EVERY = 100_000  # flows

Sums = dict[tuple[str, ...], tuple[int, int]]
"""label values -> packets, bytes"""


def write_pcap(
    path: Path, frames: Iterable[bytes], link_type: int = ETHERNET, keep: int = 1 << 18, **form: Any
) -> Path:
    """Write a pcap. `keep`: bytes of a packet; `form`: of scapy's writer (endianness, gz, nano)."""
    writer = RawPcapWriter(str(path), linktype=link_type, snaplen=keep, **form)
    writer.write_header(None)
    for frame in frames:
        writer.write_packet(frame[:keep], sec=1, usec=1, wirelen=len(frame))
    writer.close()
    return path


def write_records(
    path: Path, link: int, records: Iterable[bytes], magic: int = 0xA1B2C3D4, order: str = "<"
) -> Path:
    """Write a pcap whose field for the link type is `link` with all its bits."""
    extra = bytes(8) if magic == 0xA1B2CD34 else b""
    content = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 1 << 18, link)
    for record in records:
        size = len(record)
        content += struct.pack(f"{order}4I", 1, 1, size, size) + extra + record
    path.write_bytes(content)
    return path


def write_pcapng(path: Path, packets: Iterable[tuple[int, bytes]]) -> Path:
    """Write (link type, frame) pairs; each link type has an interface of its own."""
    writer = RawPcapNgWriter(str(path))
    for writer.linktype, frame in packets:
        packet = Raw(frame)
        packet.sniffed_on = f"link type {writer.linktype}"
        writer.write_header(packet)
        writer.write_packet(packet)
    writer.close()
    return path


def traffic(replayed: Replayed) -> Sums:
    """Return packets by protocol and IP version from a page, without zeros."""
    packets = _samples(replayed, "pktexp_packets_total", "protocol", "ip_version")
    sizes = _samples(replayed, "pktexp_bytes_total", "protocol", "ip_version")
    return {key: (count, sizes[key]) for key, count in packets.items() if count}


def tcp_flags(replayed: Replayed) -> dict[str, int]:
    """Return packets by TCP flag from a page."""
    packets = _samples(replayed, "pktexp_tcp_flags_total", "flag")
    return {flag: count for (flag,), count in packets.items() if count}


def tunnels(replayed: Replayed) -> dict[str, int]:
    """Return packets by kind of tunnel from a page."""
    packets = _samples(replayed, "pktexp_tunnelled_packets_total", "kind")
    return {kind: count for (kind,), count in packets.items()}


def traits(replayed: Replayed) -> dict[str, int]:
    """Return packets by trait and by type of ICMP from a page."""
    casts = _samples(replayed, "pktexp_group_packets_total", "cast")
    types = _samples(replayed, "pktexp_icmp_packets_total", "protocol", "type")
    found = {cast: count for (cast,), count in casts.items()}
    found |= {" ".join(kind): count for kind, count in types.items()}
    for name, family in (("fragment", "fragments"), ("marked", "ecn_marked_packets")):
        if counts := _samples(replayed, f"pktexp_{family}_total"):
            found[name] = counts[()]
    return found


def flows(replayed: Replayed) -> Sums:
    """Return flows by (protocol, source, dest) from a JSON document; assert it has nothing else."""
    document = json.loads(report(replayed, Format.JSON, EVERY))
    assert document["other"] == {"packets": 0, "bytes": 0}
    keys = [(flow["protocol"], flow["source"], flow["dest"]) for flow in document["flows"]]
    assert len(set(keys)) == len(keys)
    sums = [(flow["packets"], flow["bytes"]) for flow in document["flows"]]
    return dict(zip(keys, sums, strict=True))


def _samples(replayed: Replayed, name: str, *labels: str) -> dict[tuple[str, ...], int]:
    sums: Counter[tuple[str, ...]] = Counter()
    for family in text_string_to_metric_families(report(replayed, Format.PROMETHEUS, 1)):
        for sample in family.samples:
            if sample.name == name:
                sums[tuple(sample.labels[label] for label in labels)] += int(sample.value)
    return dict(sums)
