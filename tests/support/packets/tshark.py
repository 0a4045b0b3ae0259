"""Packets of captures as tshark dissects them: protocol, addresses, and inner packets."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.packets import traits
from support.packets.innermost import passed, without_link
from support.patience import finished, running

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
VLAN_TAGS = (0x8100, 0x88A8)
ETHERTYPES = {
    0x8847: "mpls",
    0x8848: "mpls",
    0x8863: "pppoe",
    0x8864: "pppoe",
    0x888E: "eapol",
    0x88CC: "lldp",
    0x88E5: "macsec",
}
# IANA's protocol numbers, by the names of docs/metrics.md.
PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
}
EXTENSIONS = {
    0: "ipv6.hopopts.nxt",
    43: "ipv6.routing.nxt",
    44: "ipv6.fraghdr.nxt",
    51: "ah.next_header",
    60: "ipv6.dstopts.nxt",
}
FIELDS = (
    *("frame.len", "frame.protocols", "eth.type", "sll.etype", "vlan.etype", "arp.hw.size"),
    *("arp.src.proto_ipv4", "arp.dst.proto_ipv4", "ip.src", "ip.dst", "ip.proto"),
    *("ipv6.src", "ipv6.dst", "ipv6.nxt", *EXTENSIONS.values(), "tcp.flags"),
    *("udp.dstport", "mpls.label", *traits.FIELDS),
)
PREFERENCES = (
    # Every packet is to be looked at by itself, as pktexp does.
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    # Else it would not tell what a single tag of 802.1ad tags.
    "vlan.qinq_ethertype:0x88a8",
)
DECODE_AS = ("udp.port==8472,vxlan",)
# How far pktexp looks (docs/metrics.md).
MOST_TAGS, MOST_EXTENSIONS = 4, 8

Row = dict[str, list[str]]
"""a packet's fields: all values, outermost first"""


@dataclass(frozen=True)
class Dissected:
    """A packet by its outermost headers; `flags`: the byte of the TCP header.

    `inside`: the packet behind the `tunnels`, or the same packet where there are none.
    """

    bytes: int
    protocol: str
    ip_version: str = ""
    source: str = ""
    dest: str = ""
    flags: int = 0
    traits: tuple[str, ...] = ()
    tunnels: tuple[str, ...] = ()
    inside: Dissected | None = None


def dissect(captures: Sequence[Path], merged: Path) -> Iterator[list[Dissected]]:
    """Yield the packets of each capture, none of which is broken.

    Captures are merged into the file `merged`, as starting tshark for each would take minutes.
    """
    joining = ["mergecap", "-a", "-I", "none", "-F", "pcapng", "-w", str(merged)]
    _output(*joining, *map(str, captures))
    packets = read(merged)
    for line in _output("capinfos", "-T", "-r", "-M", "-c", *map(str, captures)).splitlines():
        _, count = line.split("\t")
        yield [next(packets) for _ in range(int(count))]
    assert next(packets, None) is None


def read(capture: Path) -> Iterator[Dissected]:
    """Yield the packets of one capture, up to where it breaks."""
    options = [word for name in PREFERENCES for word in ("-o", name)]
    fields = [word for name in FIELDS for word in ("-e", name)]
    options += [word for rule in DECODE_AS for word in ("-d", rule)]
    command = ["tshark", "-n", "-r", str(capture), *options, "-T", "fields", *fields]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with running(command, encoding="utf-8", **pipes) as process:
        for line in process.stdout or ():
            values = [text.split(",") if text else [] for text in line.rstrip("\n").split("\t")]
            yield _whole(dict(zip(FIELDS, values, strict=True)))


def _output(*command: str) -> str:
    return finished(command, check=True, capture_output=True, encoding="utf-8").stdout


def _whole(row: Row) -> Dissected:
    """Build a packet together with the one inside its tunnels."""
    outer, tunnels, innermost = _packet(row), [], row
    for tunnel, innermost in passed(row):  # noqa: B007
        tunnels.append(tunnel)
    found = tuple(traits.traits(row, outer.protocol, outer.ip_version))
    return replace(outer, traits=found, tunnels=tuple(tunnels), inside=_packet(innermost))


def _packet(row: Row) -> Dissected:
    (size,), (layers,) = row["frame.len"], row["frame.protocols"]
    link, second, *_ = [*without_link(layers.split(":")), "", ""]
    if link in ("mpls", "pppoes"):
        return Dissected(int(size), "mpls" if link == "mpls" else "pppoe")
    if link in ("ip", "ipv6"):
        return _behind_link(link, int(size), row)
    if second == "cfp":  # it takes the addresses for a header of another link layer
        return Dissected(int(size), "other")
    if link == "sll" and second not in ("ethertype", "llc", "ipx"):
        return _behind_link(second, int(size), row)
    if second != "ethertype":
        return Dissected(int(size), "llc" if second and link in ("eth", "sll") else "other")
    return _network(_behind_tags(row), int(size), row)


def _behind_link(layer: str, size: int, row: Row) -> Dissected:
    """Build a packet from the layer behind a header without an ethertype."""
    version = {"ip": IPV4, "ipv6": IPV6}.get(layer)
    return _network(version, size, row) if version else Dissected(size, "other")


def _behind_tags(row: Row) -> int:
    """Return the ethertype behind the VLAN tags, or a tag's own if they do not end."""
    first = "sll.etype" if row["frame.protocols"][0].startswith("sll") else "eth.type"
    types = [*_numbers(row[first][:1]), *_numbers(row["vlan.etype"][:MOST_TAGS])]
    return next((ethertype for ethertype in types if ethertype not in VLAN_TAGS), types[-1])


def _network(ethertype: int, size: int, row: Row) -> Dissected:
    if ethertype == IPV4:
        return _ip(size, "4", row["ip.src"], row["ip.dst"], _numbers(row["ip.proto"]), row)
    if ethertype == IPV6:
        return _ip(size, "6", row["ipv6.src"], row["ipv6.dst"], _upper_layer(row), row)
    if ethertype == ARP:
        return _arp(size, row)
    return Dissected(size, ETHERTYPES.get(ethertype, "other"))


def _arp(size: int, row: Row) -> Dissected:
    source, dest = row["arp.src.proto_ipv4"], row["arp.dst.proto_ipv4"]
    if row["arp.hw.size"] != ["6"] or not dest:
        return Dissected(size, "arp")
    return Dissected(size, "arp", "", source[0], dest[0])


def _ip(
    size: int, version: str, source: list[str], dest: list[str], protocol: list[int], row: Row
) -> Dissected:
    if not dest:
        return Dissected(size, "other", version)
    name = PROTOCOLS.get(protocol[0], "other") if protocol else "other"
    flags = _numbers(row["tcp.flags"][:1]) if name == "tcp" else []
    return Dissected(size, name, version, source[0], dest[0], flags[0] if flags else 0)


def _upper_layer(row: Row) -> list[int]:
    """Return the protocol behind the outermost IPv6 header's extension headers, if they end."""
    behind = {number: _numbers(row[field]) for number, field in EXTENSIONS.items()}
    protocol = _numbers(row["ipv6.nxt"])[:1]
    for _ in range(MOST_EXTENSIONS):
        if protocol and protocol[0] in EXTENSIONS:
            following = behind[protocol[0]]
            protocol, following[:1] = following[:1], []
    return protocol


def _numbers(values: list[str]) -> list[int]:
    return [int(value, 0) for value in values]
