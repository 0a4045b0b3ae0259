"""Properties of a packet beside its protocol, from tshark's fields: casts, fragments, marks."""

from __future__ import annotations

from collections.abc import Iterator

FIELDS = (
    *("eth.dst", "eth.dst.ig", "ip.flags.mf", "ip.frag_offset", "ip.dsfield.ecn"),
    *("ipv6.fraghdr.offset", "ipv6.fraghdr.more", "ipv6.tclass.ecn", "icmp.type", "icmpv6.type"),
    *("cfp.d_hmac_mc", "sll.pkttype"),
)
COOKED_CASTS = {"1": "broadcast", "2": "multicast"}
CONGESTION_EXPERIENCED = "3"

Row = dict[str, list[str]]
"""as in tshark.py"""


def traits(row: Row, protocol: str, ip_version: str) -> Iterator[str]:
    """Yield the traits of the outermost headers."""
    layers = row["frame.protocols"][0].split(":")
    if layers[0] == "eth":
        yield from _casts(row, layers)
    elif layers[0] == "sll" and (cast := COOKED_CASTS.get(row["sll.pkttype"][0])):
        yield cast
    if ip_version == "4":
        yield from _ipv4(row)
    elif ip_version == "6":
        yield from _ipv6(row, layers)
    if (protocol, ip_version) in (("icmp", "4"), ("icmpv6", "6")) and protocol in layers:
        yield from (f"{protocol} {number}" for number in row[f"{protocol}.type"][:1])


def _casts(row: Row, layers: list[str]) -> Iterator[str]:
    if layers[1:2] == ["cfp"]:  # it names its own address another way
        yield from ("multicast" for _ in row["cfp.d_hmac_mc"][:1])
    elif row["eth.dst.ig"][:1] == ["1"]:
        yield "broadcast" if row["eth.dst"][0] == "ff:ff:ff:ff:ff:ff" else "multicast"


def _ipv4(row: Row) -> Iterator[str]:
    more, offset = row["ip.flags.mf"][:1], row["ip.frag_offset"][:1]
    if more == ["1"] or offset not in ([], ["0"]):
        yield "fragment"
    if row["ip.dsfield.ecn"][:1] == [CONGESTION_EXPERIENCED]:
        yield "marked"


def _ipv6(row: Row, layers: list[str]) -> Iterator[str]:
    """Yield IPv6 traits; the outermost header's fragment header precedes any inner packet."""
    end = next((i for i, layer in enumerate(layers) if layer == "ipv6"), 0) + 1
    while end < len(layers) and (layers[end].startswith("ipv6.") or layers[end] == "ah"):
        end += 1
    count = layers[:end].count("ipv6.fraghdr")
    mores, offsets = row["ipv6.fraghdr.more"][:count], row["ipv6.fraghdr.offset"][:count]
    if "1" in mores or set(offsets) - {"0"}:
        yield "fragment"
    if row["ipv6.tclass.ecn"][:1] == [CONGESTION_EXPERIENCED]:
        yield "marked"
