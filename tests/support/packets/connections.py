"""TCP, UDP and SCTP packets between two ends, and a plain model of which port serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP

from support.packets.cases import ETHER

LOW, HIGH = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
SYN, SYN_ACK, ACK, PSH_ACK, FIN_ACK, RST = 0x02, 0x12, 0x10, 0x18, 0x11, 0x04
LIFE = (
    *(("there", SYN), ("back", SYN_ACK), ("there", ACK), ("there", PSH_ACK), ("back", PSH_ACK)),
    *(("back", ACK), ("there", FIN_ACK), ("back", FIN_ACK), ("there", ACK), ("back", RST)),
)

End = tuple[str, int]
"""address, port"""


@dataclass(frozen=True)
class Sent:
    """A packet from one end to another; `flags`: of TCP."""

    source: End
    dest: End
    protocol: str = "tcp"
    flags: int = 0

    @property
    def frame(self) -> bytes:
        ports: dict[str, Any] = {"sport": self.source[1], "dport": self.dest[1]}
        transports = {"udp": UDP(**ports), "sctp": SCTP(**ports)}
        transport = transports.get(self.protocol, TCP(**ports, flags=self.flags))
        network = IPv6 if ":" in self.source[0] else IP
        return bytes(ETHER / network(src=self.source[0], dst=self.dest[0]) / transport)


@dataclass
class Model:
    """The rule of docs/metrics.md: the last SYN decides, else the ports do."""

    servers: dict[frozenset[End], End] = field(default_factory=dict)

    def labels(self, packet: Sent) -> tuple[str, str]:
        """Return source and dest of a packet's flow."""
        source, dest = packet.source, packet.dest
        if source[1] == dest[1]:
            return text(source), text(dest)
        pair = frozenset((source, dest))
        server = by_ports(source, dest)
        if packet.protocol == "tcp":
            if packet.flags & SYN:
                self.servers[pair] = source if packet.flags & ACK else dest
            server = self.servers.get(pair, server)
        return (text(source), dest[0]) if server == source else (source[0], text(dest))


def by_ports(a: End, b: End) -> End:
    """Return the serving end: outside the client range, else the one with the lower port."""
    return min(a, b, key=lambda end: (LOW <= end[1] <= HIGH, end[1]))


def text(end: End) -> str:
    address, port = end
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def life(client: End, server: End) -> list[Sent]:
    """Return all packets of a TCP connection."""
    ways = {"there": (client, server), "back": (server, client)}
    return [Sent(*ways[way], "tcp", flags) for way, flags in LIFE]
