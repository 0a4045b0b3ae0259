"""`pktexp serve --pin`: an ifindex that another interface takes while no pktexp runs."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.kernel.attached import attached
from support.kernel.bpffs import mounted
from support.kernel.features import needs_drop_reasons
from support.netns.namespace import Namespace, connect
from support.netns.traffic import A, B, drops
from support.patience import wait_for
from support.service.api import frames
from support.service.process import Page, Service, serving, total

pytestmark = [pytest.mark.alone, needs_drop_reasons]

Make = Callable[[], Namespace]
ROUND = frames(40)
RETRANSMITTED = "pktexp_tcp_retransmitted_segments_total"


@dataclass
class Host:
    """A namespace with `vb`, the other end `va`, and pins that outlast a service."""

    here: Namespace
    peer: Namespace
    root: Path
    ingress: str = "tcx"

    def address(self, name: str) -> None:
        """Give the addresses to `va` and an interface, with neighbours known."""
        ends = ((self.peer, "va", A), (self.here, name, B))
        for (own, end, address), (other, far, to) in (ends, ends[::-1]):
            own.ip("address", "replace", f"{address}/24", "dev", end)
            mac = other.link(far)["address"]
            own.ip("neigh", "replace", to, "lladdr", mac, "dev", end, "nud", "permanent")

    def replace(self, end: str, name: str) -> int:
        """End `vb` by a command of ip, make another interface with its ifindex; return that."""
        index = int(self.here.link("vb")["ifindex"])
        self.here.ip(*end.split())
        pair = ("type", "veth", "peer", "name", "va", "netns", self.peer.name)
        with contextlib.suppress(AssertionError):  # it went with its other end
            self.peer.ip("link", "set", "va", "name", "former")
        self.here.ip("link", "add", name, "index", str(index), *pair)
        assert self.here.link(name)["ifindex"] == index
        self.up(name)
        return index

    def up(self, name: str) -> None:
        self.peer.ip("link", "set", "va", "up")
        self.here.ip("link", "set", name, "up")
        self.here.wait_for_carrier(name)
        with contextlib.suppress(AssertionError):  # the former end may have it still
            self.peer.ip("address", "flush", "to", A)
        self.address(name)

    def knock(self, times: int) -> None:
        """Send datagrams for which there is no socket."""
        self.peer.run("bash", "-c", f"for i in $(seq {times}); do echo >/dev/udp/{B}/9; done")

    @contextlib.contextmanager
    def serving(self, interface: str) -> Iterator[Service]:
        interfaces = ("--interfaces", "v*", "--interfaces", "w*")
        options = ("--pin", str(self.root), "--ingress", self.ingress)
        with serving(self.here, *interfaces, *options) as service:
            service.wait_until_attached(interface)
            yield service

    def page(self, service: Service, interface: str, dropped: int) -> Page:
        """Return a page on which an interface has so many drops."""
        reason = (interface, "no_socket")
        return service.page_when(lambda page: drops(page).get(reason) == dropped)


@pytest.fixture
def ingress() -> str:
    """The hook at which ingress is counted."""
    return "tcx"


@pytest.fixture
def host(namespaces: Make, tmp_path: Path, ingress: str) -> Iterator[Host]:
    peer, here = namespaces(), namespaces()
    connect(peer, here, "va", "vb")
    with mounted(tmp_path / "bpf") as folder:
        made = Host(here, peer, folder / "pktexp", ingress)
        made.address("vb")
        with made.serving("vb") as service:
            made.knock(3)
            made.page(service, "vb", 3)
        yield made


@pytest.mark.parametrize("ingress", ["tcx", "xdp-native", "xdp-generic"])
@pytest.mark.parametrize("end", ["link delete vb", "link set vb netns {}"], ids=["delete", "move"])
def test_nothing_of_another_interface_counts_for_the_former(
    host: Host, namespaces: Make, end: str
) -> None:
    elsewhere = namespaces()
    host.replace(end.format(elsewhere.name), "wan")
    host.knock(5)
    with host.serving("wan") as service:
        hook = "tcx-ingress" if host.ingress == "tcx" else "xdp"
        assert attached(host.here, "wan") == {hook: 1, "tcx-egress": 1}
        host.knock(4)
        page = host.page(service, "wan", 4)
        assert drops(page) == {("vb", "no_socket"): 3, ("wan", "no_socket"): 4}
        before = {name: total(page, "total_packets", interface=name) for name in ("vb", "wan")}
        host.peer.send("va", ROUND)
        page = service.page_when(
            lambda page: total(page, "total_packets", interface="wan") >= before["wan"] + len(ROUND)
        )
        assert total(page, "total_packets", interface="vb") == before["vb"]
        if "netns" in end:
            assert attached(elsewhere, "vb") == {}


def test_retransmissions_of_another_interface_do_not_count_for_the_former(host: Host) -> None:
    host.replace("link delete vb", "wan")
    chain = "add chain ip t in { type filter hook input priority 0; }"
    host.peer.run("nft", f"add table ip t; {chain}; add rule ip t in tcp dport 80 drop")
    connect_in_vain(host.here)
    with host.serving("wan") as service:
        assert total(service.page(), RETRANSMITTED) == 0
        connect_in_vain(host.here)
        page = service.page_when(lambda page: total(page, RETRANSMITTED, interface="wan"))
        assert total(page, RETRANSMITTED, interface="vb") == 0


def connect_in_vain(namespace: Namespace) -> None:
    """Send a SYN, and send it again at least once."""
    sent = retransmissions(namespace)
    with namespace.entered(), socket.socket() as client:
        client.setblocking(False)
        assert client.connect_ex((A, 80)) == errno.EINPROGRESS
        wait_for(lambda: retransmissions(namespace) > sent)


def retransmissions(namespace: Namespace) -> int:
    return int(namespace.run("nstat", "-asz", "TcpRetransSegs").split()[-2])


def test_an_interface_of_the_same_name_goes_on_counting(host: Host) -> None:
    host.replace("link delete vb", "vb")
    host.knock(5)
    with host.serving("vb") as service:
        host.knock(4)
        assert drops(host.page(service, "vb", 12)) == {("vb", "no_socket"): 12}


def test_a_renamed_interface_counts_under_its_new_name_from_the_start_on(host: Host) -> None:
    host.here.ip("link", "set", "vb", "down")
    host.here.ip("link", "set", "vb", "name", "wan")
    host.up("wan")
    host.knock(5)
    with host.serving("wan") as service:
        before = total(service.page(), "total_packets", interface="vb")
        host.knock(4)
        page = host.page(service, "wan", 4)
        assert drops(page) == {("vb", "no_socket"): 3, ("wan", "no_socket"): 4}
        assert total(page, "total_packets", interface="vb") == before
        assert total(page, "total_packets", interface="wan") >= 4
