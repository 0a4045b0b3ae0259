"""Traffic of all sorts through a host with a pod, in rounds."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from scapy.layers.inet import IP, UDP

from support.netns.hosts import Host
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, all_cases
from support.patience import PATIENCE

MTU = 1500
MARKED = bytes(ETHER / IP(src="192.0.2.1", dst="192.0.2.2", tos=3) / UDP())  # by a router
FRAMES = [MARKED, *(case.frame for case in all_cases() if len(case.frame) <= MTU)]
HOST, POD, NOBODY = "192.0.2.2", "192.0.2.3", "192.0.2.99"
CLOSED, FORBIDDEN, SERVED = 9, 7, 80
PAUSE = 0.1  # seconds


class AllSorts:
    """Sends one round of traffic at a time."""

    def __init__(self, host: Host, stack: contextlib.ExitStack) -> None:
        self._outside, self._host, self._pod = host
        self._stack = stack
        self._listener = stack.enter_context(self._open(self._pod, socket.SOCK_STREAM))
        self._listener.bind((POD, SERVED))
        self._listener.listen()
        rule = f"add rule ip t input udp dport {FORBIDDEN} drop"
        chain = "add chain ip t input { type filter hook input priority 0; }"
        self._host.run("nft", f"add table ip t; {chain}; {rule}")
        nobody = (NOBODY, "lladdr", "02:00:00:00:00:99", "dev", "br0", "nud", "permanent")
        self._host.ip("neigh", "add", *nobody)

    def round(self) -> None:
        self._outside.send("eth0", FRAMES)  # every protocol, type, flag and fault
        self._outside.run("ping", "-q", "-i", "0.01", "-c", "5", "-s", "1000", HOST)
        self._refused()
        self._served()
        self._unanswered()

    def _refused(self) -> None:
        """Send to the host: to a closed port, and to one that a rule drops."""
        for port in (CLOSED, FORBIDDEN):
            for _ in range(5):
                with contextlib.closing(self._open(self._outside, socket.SOCK_DGRAM)) as client:
                    client.sendto(bytes(500), (HOST, port))

    def _served(self) -> None:
        """Make a TCP connection to the pod, with data both ways."""
        with contextlib.closing(self._open(self._outside, socket.SOCK_STREAM)) as client:
            client.connect((POD, SERVED))
            with contextlib.closing(self._listener.accept()[0]) as server:
                client.sendall(bytes(20_000))
                server.sendall(bytes(5_000))

    def _unanswered(self) -> None:
        """Send a SYN from the host to nobody; the kernel repeats it after a second, and again."""
        client = self._stack.enter_context(self._open(self._host, socket.SOCK_STREAM))
        client.setblocking(False)
        client.connect_ex((NOBODY, SERVED))

    def _open(self, namespace: Namespace, kind: int) -> socket.socket:
        with namespace.entered():
            made = socket.socket(socket.AF_INET, kind)
        made.settimeout(PATIENCE)
        return made


@contextlib.contextmanager
def all_sorts(host: Host) -> Iterator[None]:
    """Send rounds in a thread while the context is open; errors there are raised at the end."""
    over = threading.Event()

    def send() -> None:
        with contextlib.ExitStack() as stack:
            sorts = AllSorts(host, stack)
            while not over.wait(PAUSE):
                sorts.round()

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            over.set()
        sending.result()
