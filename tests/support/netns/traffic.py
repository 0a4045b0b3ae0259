"""Sockets in namespaces, rules that drop packets, and the kernel's own counts of them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

from support.netns.namespace import Namespace
from support.patience import PATIENCE, joined, wait_for
from support.service.process import Page, Service, select

A, B = "10.99.0.1", "10.99.0.2"
SMALL_BUFFER = 2304  # bytes; room for one datagram of a thousand
Drops = dict[tuple[str, str], int]


class Side:
    """One end of a joined pair: sockets that are closed at the end, and the kernel's counters."""

    def __init__(self, namespace: Namespace, stack: contextlib.ExitStack) -> None:
        self.namespace = namespace
        self._stack = stack

    def open(self, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        with self.namespace.entered():
            return self.keep(socket.socket(socket.AF_INET, kind))

    def keep(self, made: socket.socket) -> socket.socket:
        """Bound a socket's waits, and close it at the end."""
        made.settimeout(PATIENCE)
        return self._stack.enter_context(made)

    def statistic(self, name: str) -> int:
        """Return a counter of nstat, which reads /proc/net/snmp and /proc/net/netstat."""
        return int(self.namespace.run("nstat", "-asz", name).split()[-2])

    def drop(self, hook: str, rule: str) -> None:
        """Drop and count matching packets, by nftables."""
        chain = f"add chain ip t {hook} {{ type filter hook {hook} priority 0; }}"
        rule = f"add rule ip t {hook} {rule} counter drop"
        self.namespace.run("nft", f"add table ip t; {chain}; {rule}")

    def dropped_by_rule(self, hook: str) -> int:
        """Return the buffers that rules dropped; each may stand for many packets."""
        listed = json.loads(self.namespace.run("nft", "-j", "list", "chain", "ip", "t", hook))
        rules = [entry["rule"]["expr"] for entry in listed["nftables"] if "rule" in entry]
        return sum(e["counter"]["packets"] for rule in rules for e in rule if "counter" in e)


@contextlib.contextmanager
def addressed(a: Namespace, b: Namespace) -> Iterator[tuple[Side, Side]]:
    """Give `va` and `vb` addresses and static neighbours, so that no ARP is on the wire."""
    ends = ((a, "va", A), (b, "vb", B))
    for (here, name, own), (there, peer, other) in (ends, ends[::-1]):
        here.ip("address", "add", f"{own}/24", "dev", name)
        mac = there.link(peer)["address"]
        here.ip("neigh", "add", other, "lladdr", mac, "dev", name, "nud", "permanent")
    with contextlib.ExitStack() as stack:
        yield Side(a, stack), Side(b, stack)


def transfer(a: Namespace, b: Namespace) -> None:
    """Send 4 MB by TCP, in large segments."""
    with b.entered():
        listening = socket.create_server((B, 9000))
    with a.entered():
        sending = socket.create_connection((B, 9000), PATIENCE)
    receiving, _ = listening.accept()
    with listening, sending, receiving:
        receiving.settimeout(PATIENCE)
        thread = threading.Thread(target=sending.sendall, args=(bytes(4_000_000),))
        thread.start()
        left = 4_000_000
        while left:
            left -= len(receiving.recv(1 << 20))
        joined(thread)


def drops(page: Page, interface: str | None = None) -> Drops:
    """Return packets by (interface, reason), for reasons that occurred."""
    found: Drops = {}
    for key, packets in select(page, "pktexp_dropped_packets_total").items():
        labels = dict(key)
        if packets and interface in (None, labels["interface"]):
            found[labels["interface"], labels["reason"]] = int(packets)
    return found


def drops_when(service: Service, interface: str, count: int) -> Drops:
    """Return all drops at an interface, once there are so many."""
    page = service.page_when(lambda page: sum(drops(page, interface).values()) >= count)
    return drops(page, interface)


def fill(sender: Side, receiver: Side, port: int, datagrams: int) -> int:
    """Send to a small socket that nobody reads; return how many datagrams found no room."""
    full = receiver.open()
    full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    full.bind(("0.0.0.0", port))
    with contextlib.closing(sender.open()) as client:
        for _ in range(datagrams):
            client.sendto(bytes(1000), (B, port))
    errors = [0]

    def settled() -> bool:
        errors.append(receiver.statistic("UdpRcvbufErrors"))
        return errors[-1] == errors[-2] > 0

    wait_for(settled)
    return errors[-1]


def knock(sender: Side, port: int, datagrams: int, to: str = B, size: int = 8) -> None:
    """Send from a fresh socket each time, as an ICMP answer would refuse the next datagram."""
    for _ in range(datagrams):
        with contextlib.closing(sender.open()) as client, contextlib.suppress(PermissionError):
            client.sendto(bytes(size), (to, port))


def receive(end: socket.socket, size: int) -> None:
    """Read so many bytes of a connection."""
    while size:
        data = end.recv(min(size, 1 << 20))
        assert data, f"closed, {size} bytes before the end"
        size -= len(data)


def connection(server: Side, client: Side) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection to port 80: the server's, the client's."""
    listener = server.open(socket.SOCK_STREAM)
    listener.bind((A, 80))
    listener.listen()
    ours = client.open(socket.SOCK_STREAM)
    ours.connect((A, 80))
    return server.keep(listener.accept()[0]), ours
