"""Network namespaces that a test makes and removes, by iproute2."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.patience import finished, wait_for

SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h

_libc = ctypes.CDLL(None, use_errno=True)  # os.setns needs Python 3.12

_numbers = itertools.count()


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def run(*command: str) -> str:
    done = finished(command, capture_output=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Namespace:
    """A network namespace without IPv6 autoconfiguration, so that nothing is sent unasked."""

    def __init__(self) -> None:
        self.name = f"pktexp-test-{os.getpid()}-{next(_numbers)}"
        run("ip", "netns", "add", self.name)
        for scope in ("all", "default"):
            self.run("sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1")
        self.ip("link", "set", "lo", "up")

    def command(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str) -> str:
        return run(*self.command(*command))

    def ip(self, *arguments: str) -> str:
        return run("ip", "-n", self.name, *arguments)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run the body with this thread inside the namespace."""
        here, there = Path("/proc/thread-self/ns/net"), Path("/run/netns", self.name)
        with here.open() as home, there.open() as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def packet_socket(self, interface: str) -> socket.socket:
        """Return a raw socket that sends and receives whole frames on an interface."""
        with self.entered():
            everything = socket.htons(3)  # ETH_P_ALL
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything)
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        raw.bind((interface, 0x0003))
        return raw

    def wait_for_carrier(self, interface: str) -> None:
        """Wait for the kernel's link watch to see both ends up; until then it drops packets."""
        wait_for(lambda: self.link(interface)["operstate"] == "UP")

    def send(self, interface: str, frames: list[bytes]) -> None:
        self.wait_for_carrier(interface)
        with self.packet_socket(interface) as raw:
            for frame in frames:
                raw.send(frame)

    def statistics(self, interface: str) -> tuple[int, int]:
        """Return the kernel's own count of received packets and bytes."""
        folder = f"/sys/class/net/{interface}/statistics"
        packets, bytes_ = self.run("cat", f"{folder}/rx_packets", f"{folder}/rx_bytes").split()
        return int(packets), int(bytes_)

    def link(self, interface: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ip("-j", "link", "show", interface))[0]
        return found

    def remove(self) -> None:
        run("ip", "netns", "delete", self.name)


@contextlib.contextmanager
def making() -> Iterator[Callable[[], Namespace]]:
    """Yield a function that makes namespaces; remove them at the end."""
    with contextlib.ExitStack() as stack:

        def make() -> Namespace:
            namespace = Namespace()
            stack.callback(namespace.remove)
            return namespace

        yield make


def connect(a: Namespace, b: Namespace, name_a: str, name_b: str, mtu: int = 1500) -> None:
    """Join two namespaces by a veth pair; both ends are up and ready to send."""
    m = str(mtu)
    a.ip("link", "add", name_a, "mtu", m, "type", "veth", "peer", name_b, "mtu", m)
    a.ip("link", "set", name_b, "netns", b.name)
    a.ip("link", "set", name_a, "up")
    b.ip("link", "set", name_b, "up")
    a.wait_for_carrier(name_a)
    b.wait_for_carrier(name_b)
