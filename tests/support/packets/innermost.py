"""Finds the tunnels of a packet, and the fields of what they carry, in tshark's layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

MOST_TUNNELS, MOST_LABELS = 3, 8  # docs/metrics.md
BARE_LINK = ("raw", "null", "enc", "ppp", "chdlc", "nflog")  # of which nothing is counted
LINK = (*BARE_LINK, "eth", "sll", "ethertype", "vlan")
EXTENSIONS = ("ipv6.hopopts", "ipv6.routing", "ipv6.fraghdr", "ipv6.dstopts", "ah")
IN_IP = {
    ("ip", "ip"): "ipip",
    ("ip", "ipv6"): "6in4",
    ("ipv6", "ip"): "ip-in-ipv6",
    ("ipv6", "ipv6"): "ip-in-ipv6",
}
UDP = {
    ("vxlan", "4789"): "vxlan",
    ("vxlan", "8472"): "vxlan",
    ("geneve", "6081"): "geneve",
    ("gtp", "2152"): "gtpu",
}
# layer -> its fields, of which each such layer has one
FIELDS = {
    "eth": ("eth.type",),
    "vlan": ("vlan.etype",),
    "ip": ("ip.src", "ip.dst", "ip.proto"),
    "ipv6": ("ipv6.src", "ipv6.dst", "ipv6.nxt"),
    "ipv6.hopopts": ("ipv6.hopopts.nxt",),
    "ipv6.routing": ("ipv6.routing.nxt",),
    "ipv6.fraghdr": ("ipv6.fraghdr.nxt",),
    "ipv6.dstopts": ("ipv6.dstopts.nxt",),
    "ah": ("ah.next_header",),
    "udp": ("udp.dstport",),
}

Row = dict[str, list[str]]
"""as in tshark.py"""


def without_link(layers: list[str]) -> list[str]:
    """Return the layers without those that only say which protocol follows."""
    return list(itertools.dropwhile(lambda layer: layer in BARE_LINK, layers))


def passed(row: Row) -> Iterator[tuple[str, Row]]:
    """Yield the tunnels of a packet, outermost first: kind, and the fields of what each carries."""
    for _ in range(MOST_TUNNELS):
        layers = row["frame.protocols"][0].split(":")
        kind, behind = _tunnel(layers, row)
        if not kind or layers[behind : behind + 1] not in (["eth"], ["ip"], ["ipv6"], ["mpls"]):
            return
        row = _rest(layers, behind, row)
        yield kind, row


def _tunnel(layers: list[str], row: Row) -> tuple[str, int]:
    """Return the kind ("" for none) of the tunnel that the packet is, and the index of its end."""
    at = next((i for i, layer in enumerate(layers) if layer not in LINK), len(layers))
    head, *following = layers[at:] or [""]
    if head == "mpls":
        return ("mpls", at + 1) if len(row["mpls.label"]) <= MOST_LABELS else ("", 0)
    if head == "pppoes" and following[:1] == ["ppp"]:
        return "pppoe", at + 2
    if head not in ("ip", "ipv6") or not row[f"{head}.dst"]:
        return "", 0  # without: a header of the other version
    return _over_ip(layers, at, row)


def _over_ip(layers: list[str], at: int, row: Row) -> tuple[str, int]:
    end = at + 1
    while layers[at] == "ipv6" and layers[end : end + 1] and layers[end] in EXTENSIONS:
        end += 1
    upper, inside, *_ = [*layers[end:], "", ""]
    if kind := IN_IP.get((layers[at], upper)):
        return kind, end
    if upper == "gre":
        return "gre", end + 1
    port = row["udp.dstport"][0] if row["udp.dstport"] else ""
    if upper == "udp" and (kind := UDP.get((inside, port))):
        return kind, end + 2
    return "", 0


def _rest(layers: list[str], behind: int, row: Row) -> Row:
    """Return the fields without those of the layers before an index."""
    rest = {field: list(values) for field, values in row.items()}
    for layer in layers[:behind]:
        for field in FIELDS.get(layer, ()):
            del rest[field][:1]
    rest["frame.protocols"] = [":".join(layers[behind:])]
    return rest
