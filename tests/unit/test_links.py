"""LinkMonitor: link types, lists and overruns."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

import pytest

from pktexp.netlink.linkinfo import Link
from pktexp.netlink.links import LinkMonitor
from pktexp.packet.enums import LinkType

NEWLINK, DELLINK, DONE = 16, 17, 3
INTERRUPTED = 0x10
AF_BRIDGE = 7


@pytest.mark.parametrize(
    ("hardware_type", "expected"),
    [
        (1, LinkType.ETHERNET),  # every NIC, veth, bridge, vxlan, tap
        (772, LinkType.ETHERNET),  # lo
        (0xFFFE, LinkType.IP),  # tun, wireguard
        (768, LinkType.IP),  # ipip
        (769, LinkType.IP),  # ip6tnl
        (776, LinkType.IP),  # sit
        (778, LinkType.IP),  # gre
        (823, LinkType.IP),  # ip6gre
        (519, LinkType.IP),  # rmnet and other raw IP modems
        (512, LinkType.OPAQUE),  # ppp: a two-byte protocol before the IP header
        (32, LinkType.OPAQUE),  # InfiniBand
        (280, LinkType.OPAQUE),  # CAN
        (803, LinkType.OPAQUE),  # radiotap monitor
    ],
)
def test_hardware_type_determines_the_link_type(hardware_type: int, expected: LinkType) -> None:
    assert Link(1, "x", hardware_type, up=True, mtu=1500).link_type is expected


def message(
    kind: int,
    ifindex: int = 0,
    name: str | bytes = b"",
    family: int = 0,
    flags: int = 0,
    *,
    up: bool = True,
) -> bytes:
    body = struct.pack("=BxHiII", family, 1, ifindex, int(up), 0)
    if name:
        text = (name.encode() if isinstance(name, str) else name) + b"\0"
        body += struct.pack("=HH", 4 + len(text), 3) + text + bytes(-len(text) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def described(ifindex: int, name: str, kind: str = "", address: str = "") -> bytes:
    """Return an RTM_NEWLINK with a name (3), a MAC address (1) and a kind (18, in it 1)."""
    info = attribute(18, attribute(1, kind.encode() + b"\0"))
    known = attribute(3, name.encode() + b"\0") + attribute(
        1, bytes.fromhex(address[:17].replace(":", ""))
    )
    body = struct.pack("=BxHiII", 0, 1, ifindex, 1, 0) + known + info
    return struct.pack("=IHHII", 16 + len(body), NEWLINK, 0, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


class FakeSocket:
    """A netlink socket that delivers prepared datagrams and errors."""

    def __init__(self) -> None:
        self.queue: list[bytes | OSError] = []
        self.requests = 0

    def send(self, _: bytes) -> None:
        self.requests += 1

    def recv(self, _: int) -> bytes:
        if not self.queue:
            raise BlockingIOError
        item = self.queue.pop(0)
        if isinstance(item, OSError):
            raise item
        return item

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSocket:
    made = FakeSocket()
    monkeypatch.setattr("pktexp.netlink.links.socket.socket", lambda *_: made)
    monkeypatch.setattr("pktexp.netlink.links.select.select", lambda *_: ([made], [], []))
    return made


def names(monitor: LinkMonitor) -> dict[int, str]:
    return {index: link.name for index, link in monitor.links.items()}


def started(fake: FakeSocket) -> LinkMonitor:
    listing = message(NEWLINK, 1, "lo") + message(NEWLINK, 2, "eth0")
    fake.queue = [listing, message(DONE)]
    return LinkMonitor()


def test_monitor_waits_for_the_first_list(fake: FakeSocket) -> None:
    assert names(started(fake)) == {1: "lo", 2: "eth0"}


def test_invalid_utf_8_in_a_name_is_escaped(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [message(NEWLINK, 3, b"x\xff") + message(NEWLINK, 4, "b\u00e9")]
    monitor.receive()
    assert names(monitor) == {1: "lo", 2: "eth0", 3: "x\\xff", 4: "b\u00e9"}


def test_interface_replaced_between_reads_is_reported_as_gone(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [message(DELLINK, 2, "eth0") + message(NEWLINK, 2, "eth0")]
    monitor.receive()
    assert names(monitor) == {1: "lo", 2: "eth0"}
    assert monitor.take_gone() == {2}
    assert monitor.take_gone() == set()


def test_bridge_port_messages_are_ignored(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [message(DELLINK, 2, "eth0", family=AF_BRIDGE)]
    monitor.receive()
    assert names(monitor) == {1: "lo", 2: "eth0"}


def test_overrun_removes_unlisted_interfaces(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [OSError(errno.ENOBUFS, "overrun")]
    monitor.receive()
    assert (monitor.overruns, fake.requests) == (1, 2)
    fake.queue = [message(NEWLINK, 1, "lo") + message(NEWLINK, 3, "eth1"), message(DONE)]
    monitor.receive()
    assert names(monitor) == {1: "lo", 3: "eth1"}
    assert monitor.take_gone() == {2}


def test_overrun_during_a_list_requests_another_at_its_end(fake: FakeSocket) -> None:
    monitor = started(fake)
    overrun = OSError(errno.ENOBUFS, "overrun")
    fake.queue = [overrun, message(NEWLINK, 1, "lo"), overrun]
    monitor.receive()
    assert fake.requests == 2  # a second request now would be refused with EBUSY
    fake.queue = [message(DONE)]
    monitor.receive()
    assert fake.requests == 3


def test_interrupted_list_is_requested_again(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [OSError(errno.ENOBUFS, "overrun")]
    monitor.receive()
    fake.queue = [message(NEWLINK, 1, "lo"), message(DONE, flags=INTERRUPTED)]
    monitor.receive()
    assert fake.requests == 3
    assert names(monitor) == {1: "lo", 2: "eth0"}


@pytest.mark.parametrize("property_", ["name", "kind", "address"])
def test_overrun_reports_an_interface_that_differs_as_gone(
    fake: FakeSocket, property_: str
) -> None:
    monitor = started(fake)
    before = {"name": "eth0", "kind": "veth", "address": "02:00:00:00:00:01"}
    after = before | {property_: {"kind": "bridge"}.get(property_, "02:00:00:00:00:02")}
    fake.queue = [described(2, **before)]
    monitor.receive()
    assert not monitor.take_relisted()
    fake.queue = [OSError(errno.ENOBUFS, "overrun"), described(1, "lo"), described(2, **after)]
    monitor.receive()
    assert not monitor.take_relisted()
    fake.queue = [message(DONE)]
    monitor.receive()
    assert monitor.take_gone() == {2}
    assert [monitor.take_relisted() for _ in range(2)] == [True, False]


def test_overrun_keeps_an_interface_that_only_changed(fake: FakeSocket) -> None:
    monitor = started(fake)
    overrun, down = OSError(errno.ENOBUFS, "overrun"), message(NEWLINK, 2, "eth0", up=False)
    fake.queue = [overrun, message(NEWLINK, 1, "lo"), down, message(DONE)]
    monitor.receive()
    assert monitor.take_gone() == set()
    assert not monitor.links[2].up


def test_interface_is_present_while_the_kernel_has_it(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = started(fake)
    kernel = {1: "lo", 2: "eth0"}

    def name(index: int) -> str:
        if index not in kernel:
            raise OSError(errno.ENXIO, "No such device or address")
        return kernel[index]

    monkeypatch.setattr("pktexp.netlink.links.socket.if_indextoname", name)
    assert monitor.present(2)
    del kernel[2]
    assert not monitor.present(2)
    kernel[2] = "eth7"  # another interface: that the former is gone was queued before
    fake.queue = [message(DELLINK, 2, "eth0") + message(NEWLINK, 2, "eth7")]
    assert not monitor.present(2)
    assert monitor.changed
    assert monitor.take_gone() == {2}
    assert not monitor.changed
    assert monitor.present(2)


def test_failed_question_for_an_interface_does_not_make_it_vanish(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("pktexp.netlink.links.socket.if_indextoname", refuse)
    assert started(fake).present(2)


def test_other_socket_errors_are_raised(fake: FakeSocket) -> None:
    monitor = started(fake)
    fake.queue = [OSError(errno.EBADF, "closed")]
    with pytest.raises(OSError, match="closed"):
        monitor.receive()


def test_monitor_finds_the_kernels_interfaces() -> None:
    monitor = LinkMonitor()
    try:
        expected = dict(socket.if_nameindex())
        assert names(monitor) == expected
    finally:
        monitor.close()
