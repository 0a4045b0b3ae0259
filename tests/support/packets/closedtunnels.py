"""Frames that look like tunnels and must not be decapsulated."""

from __future__ import annotations

from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPEchoRequest
from scapy.layers.inet import UDP
from scapy.layers.l2 import GRE
from scapy.layers.ppp import PPP, PPPoE, PPPoED
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from support.packets.tunnels import ETHER, TCP4, V4, V6, Tunnelled, extensions, labels

OUTER4, OUTER6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")


def outside(packet: Packet, protocol: str, port: int = 0) -> Tunnelled:
    """Build a case that is not decapsulated; `port`: of the destination, if the flow has one."""
    frame = bytes(packet)
    version = "4" if frame[12:14] == b"\x08\x00" else "6" if frame[12:14] == b"\x86\xdd" else ""
    source, dest = {"4": OUTER4, "6": OUTER6, "": ("", "")}[version]
    if port:
        form = "{}:{}" if version == "4" else "[{}]:{}"
        source, dest = form.format(source, 5555), form.format(dest, port)
    flow = (protocol, source, dest)
    return Tunnelled(packet.summary(), frame, (protocol, version), (), flow)


NOT_ENTERED = (
    outside(ETHER / V4 / GRE(version=1, proto=0x880B, key_present=1) / Raw(bytes(40)), "gre"),
    outside(ETHER / V4 / GRE(version=1) / TCP4, "gre"),
    outside(ETHER / V6 / GRE(routing_present=1, proto=0x0800) / TCP4, "gre"),
    outside(ETHER / V4 / GRE(proto=0x88BE) / TCP4, "gre"),  # ERSPAN
    outside(ETHER / V4 / GRE(proto=0) / TCP4, "gre"),  # a keepalive
    outside(ETHER / V4 / GRE(proto=0x6559) / TCP4, "gre"),  # frame relay
    outside(ETHER / V4 / UDP(sport=5555, dport=4789) / VXLAN(flags=0) / ETHER, "udp", 4789),
    outside(ETHER / V4 / UDP(sport=5555, dport=6081) / GENEVE(version=1) / TCP4, "udp", 6081),
    outside(ETHER / V6 / UDP(sport=5555, dport=6081) / GENEVE(proto=0x1234), "udp", 6081),
    outside(
        ETHER / V4 / UDP(sport=5555, dport=2152) / GTP_U_Header(gtp_type=1) / GTPEchoRequest(),
        "udp",
        2152,
    ),
    outside(ETHER / V4 / UDP(sport=5555, dport=2152) / GTP_U_Header(gtp_type=254), "udp", 2152),
    outside(ETHER / V4 / UDP(sport=5555, dport=2152) / GTP_U_Header(version=2) / TCP4, "udp", 2152),
    outside(ETHER / V4 / UDP(sport=5555, dport=2152) / GTP_U_Header(PT=0) / TCP4, "udp", 2152),
    outside(
        ETHER
        / V4
        / UDP(sport=5555, dport=2152)
        / GTP_U_Header(gtp_type=255, E=1, next_ex=0x40)
        / extensions(1, 1, 1, 1, 1)
        / TCP4,
        "udp",
        2152,
    ),
    outside(ETHER / V4 / UDP(sport=5555, dport=4790) / VXLAN() / ETHER / TCP4, "udp", 4790),
    outside(ETHER / labels(9) / TCP4, "mpls"),
    outside(ETHER / labels(1) / Raw(bytes(4)) / ETHER / TCP4, "mpls"),  # a pseudowire
    outside(ETHER / PPPoED(code=9), "pppoe"),
    outside(ETHER / PPPoE(code=0xA7, sessionid=1) / PPP() / TCP4, "pppoe"),
    outside(ETHER / PPPoE(sessionid=1) / PPP(proto=0xC021) / Raw(bytes(20)), "pppoe"),
    outside(ETHER / PPPoE(version=2, sessionid=1) / PPP() / TCP4, "pppoe"),
    outside(ETHER / V4.copy().__class__(**{**V4.fields, "proto": 4}) / Raw(bytes(40)), "ipip"),
)
