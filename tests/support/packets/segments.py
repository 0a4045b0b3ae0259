"""TCP segments of a connection between two namespaces, and copies of them."""

from __future__ import annotations

import socket

from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from support.netns.traffic import Side, connection
from support.patience import PATIENCE


def data_segment(a: Side, b: Side) -> tuple[Ether, socket.socket]:
    """Return a frame with data that `a` has sent, and the receiving socket.

    No tail loss probe follows the data (net.ipv4.tcp_early_retrans), and no newer timestamp: after
    one, copies of the frame would be dropped for their age (PAWS) instead of their old data.
    """
    a.namespace.run("sysctl", "-qw", "net.ipv4.tcp_early_retrans=0", "net.ipv4.tcp_timestamps=0")
    with a.namespace.packet_socket("va") as raw:
        sender, receiver = connection(a, b)
        sender.send(b"seen")
        assert receiver.recv(4) == b"seen"
        raw.settimeout(PATIENCE)
        frames = (Ether(raw.recv(65536)) for _ in range(1000))
        frame = next(frame for frame in frames if bytes(frame).endswith(b"seen"))
    return frame, receiver


def shifted(frame: Ether, by: int) -> bytes:
    """Return the segment with another sequence number, and a checksum, which offload omits."""
    packet = frame.copy()
    packet[TCP].seq += by
    del packet[TCP].chksum
    return bytes(packet)
