"""Interfaces that disappear while a service counts them: one line each, and no failure."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.kernel.bpffs import mounted
from support.netns.namespace import Namespace, connect, making
from support.netns.tun import tun
from support.packets.cases import ETHER, V4
from support.patience import finished, wait_for
from support.service.oldkernel import without_tcx
from support.service.process import Service, serving, total

FRAME = bytes(ETHER / V4)
FAILURES = (
    "pktexp_interface_reattachments_total",
    "pktexp_interface_attach_failures_total",
    "pktexp_interface_follow_failures_total",
)
HOOKS = {
    "tcx": (),
    "xdp-native": ("--ingress", "xdp-native"),
    "xdp-generic": ("--ingress", "xdp-generic"),
    "clsact": (),
    "pinned": ("--pin",),
}
ROOM = ("--max-interfaces", "1024")
numbers = itertools.count()


@dataclass
class Host:
    """A namespace whose interfaces a service counts, and a neighbour."""

    service: Service
    here: Namespace
    neighbour: Namespace

    def interface(self) -> str:
        """Make a veth under a name of its own, and wait until it is counted."""
        name = f"v{next(numbers)}"
        connect(self.neighbour, self.here, f"p{name}", name)
        self.service.wait_until_attached(name)
        return name

    def wait_until_gone(self, *names: str) -> None:
        """Wait for the line of each; check that it is there once, and that nothing failed."""
        lines = [f"{name}: gone" for name in names]
        wait_for(lambda: set(lines) <= set(self.service.messages("INFO")))
        assert [self.service.messages().count(line) for line in lines] == [1] * len(lines)
        self.check_failures()

    def check_failures(self) -> None:
        assert self.service.messages("WARNING", "ERROR") == []
        page = self.service.page()
        assert {name: total(page, name) for name in FAILURES} == dict.fromkeys(FAILURES, 0)


@pytest.fixture(scope="module", params=HOOKS)
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """A service for all tests with one kind of hook."""
    folder, options = tmp_path_factory.mktemp("host"), HOOKS[request.param]
    python: Any = {"python": without_tcx(folder)} if request.param == "clsact" else {}
    with contextlib.ExitStack() as stack:
        make = stack.enter_context(making())
        if request.param == "pinned":
            options += (str(stack.enter_context(mounted(folder / "bpf")) / "pktexp"),)
        here, neighbour = make(), make()
        service = stack.enter_context(serving(here, *ROOM, *options, **python))
        yield Host(service, here, neighbour)


def delete(host: Host, name: str) -> None:
    host.here.ip("link", "delete", name)


def delete_peer(host: Host, name: str) -> None:
    host.neighbour.ip("link", "delete", f"p{name}")


def move(host: Host, name: str) -> None:
    host.here.ip("link", "set", name, "netns", host.neighbour.name)


def flap_and_move(host: Host, name: str) -> None:
    flap = (f"link set {name} down", f"link set {name} up")
    batch(host.here, *flap * 5, f"link set {name} netns {host.neighbour.name}")


def flap_and_delete(host: Host, name: str) -> None:
    flap = (f"link set {name} down", f"link set {name} up")
    batch(host.here, *flap * 5, f"link delete {name}")


@pytest.mark.parametrize("disappear", [delete, delete_peer, move, flap_and_move, flap_and_delete])
def test_a_veth_that_disappears_is_no_failure(
    host: Host, disappear: Callable[[Host, str], None]
) -> None:
    name = host.interface()
    disappear(host, name)
    host.wait_until_gone(name)


def test_veths_whose_peers_namespace_is_deleted_are_no_failure(host: Host) -> None:
    names = [f"v{next(numbers)}" for _ in range(5)]
    with making() as make:
        other = make()
        for name in names:
            connect(other, host.here, f"p{name}", name)
        for name in names:
            host.service.wait_until_attached(name)
    host.wait_until_gone(*names)


def test_a_renamed_interface_that_is_deleted_is_no_failure(host: Host) -> None:
    name = host.interface()
    rename = (f"link set {name} down", f"link set {name} name r{name}", f"link set r{name} up")
    batch(host.here, *rename, f"link delete r{name}")
    wait_for(lambda: re.findall(f"r?{name}: gone", " ".join(host.service.messages())))
    host.check_failures()


def test_a_tun_device_whose_process_ends_is_no_failure(host: Host) -> None:
    name = f"tun{next(numbers)}"
    with tun(host.here, name):
        host.service.wait_until_attached(name)
    host.wait_until_gone(name)


def test_an_interface_that_disappears_with_the_one_below_is_no_failure(host: Host) -> None:
    name = host.interface()
    batch(host.here, f"link add x{name} up type vxlan id 7 dstport 4789 dev {name}")
    host.service.wait_until_attached(f"x{name}")
    delete(host, name)
    host.wait_until_gone(name, f"x{name}")


@pytest.mark.parametrize("later", ["{}", "next{}"], ids=["same name", "another name"])
@pytest.mark.parametrize("end", ["link delete {}", "link set {} netns {}"], ids=["delete", "move"])
def test_an_interface_with_the_ifindex_of_a_vanished_one_is_counted(
    host: Host, end: str, later: str
) -> None:
    name = host.interface()
    new, peer = later.format(name), f"q{name}"
    index, other = host.here.link(name)["ifindex"], host.neighbour.name
    pair = f"link add {new} index {index} type veth peer name {peer} netns {other} index 7777"
    batch(host.here, end.format(name, other), pair, f"link set {new} up")
    host.neighbour.ip("link", "set", peer, "up")
    wait_for(lambda: counting(host.service, new) == 1 + (new == name))
    host.wait_until_gone(name)
    host.neighbour.send(peer, [FRAME] * 4)
    host.service.page_when(lambda page: total(page, "total_packets", interface=new) == 4)
    delete(host, new)


def test_three_hundred_pairs_that_appear_and_disappear_are_no_failure(host: Host) -> None:
    ends = [f"{end}{number}" for number in range(300) for end in "xy"]
    for first in range(0, 300, 100):
        some = range(first, first + 100)
        batch(host.here, *(f"link add x{n} group 7 up type veth peer name y{n}" for n in some))
        host.service.wait_until_attached(f"y{some[-1]}")
    batch(host.here, *(f"link delete x{n}" for n in range(30)), "link delete group 7")
    host.wait_until_gone(*ends)


def test_pairs_that_live_for_a_moment_are_no_failure(host: Host) -> None:
    short = [(f"link add m{n} up type veth peer name n{n}", f"link delete n{n}") for n in range(50)]
    batch(host.here, *itertools.chain(*short))
    delete(host, host.interface())
    host.check_failures()


def counting(service: Service, name: str) -> int:
    """Return how often the service began to count an interface."""
    return sum(message.startswith(f"{name}: counting at") for message in service.messages())


def batch(namespace: Namespace, *lines: str) -> None:
    """Run commands of ip in one process, without a pause between them."""
    command = ["ip", "-n", namespace.name, "-batch", "-"]
    finished(command, input="\n".join(lines), check=True)
