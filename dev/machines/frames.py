"""Frames for the machines to send; scapy builds them, which emulated takes half a minute."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from machines.cpucounts import SIZE, address
from machines.pairs import VLAN
from machines.wiring import MTU, Pair

HEADER = 14


def of_pair(pair: Pair) -> dict[str, str]:
    """Return a frame of each kind, as hexadecimal digits."""
    ether = Ether(src=pair.sending.mac, dst=pair.counting.mac)
    packet = IP(src="198.51.100.1", dst="198.51.100.2") / UDP(sport=1000, dport=2000)
    return {
        "plain": _filled(ether / packet, SIZE),
        "VLAN": _filled(ether / Dot1Q(vlan=VLAN) / packet, SIZE + 4),
        "jumbo": _filled(ether / packet, MTU + HEADER),
    }


def of_cpus(number: int) -> list[str]:
    """Return a frame of each CPU's address, as hexadecimal digits."""
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    datagram = UDP(sport=1000, dport=2000)
    heads = [ether / IP(src=address(n), dst="198.51.100.2") / datagram for n in range(number)]
    return [_filled(head, SIZE) for head in heads]


def _filled(head: Packet, size: int) -> str:
    return bytes(head / bytes(size - len(head))).hex()
