"""Addresses in other namespaces, compared with those set by iproute2."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from pktexp.kubernetes.podlinks import PodLinks
from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.netlink.links import LinkMonitor
from pktexp.netlink.namespaceaddresses import NamespaceAddresses
from support.netns.namespace import Namespace, connect
from support.patience import wait_for

Make = Callable[[], Namespace]
WANTED = {"10.9.0.2", "fd00::2", "10.9.0.3", "10.9.1.3"}


@pytest.fixture
def host(namespaces: Make) -> Iterator[Namespace]:
    """A namespace that this thread has entered."""
    host = namespaces()
    with host.entered():
        yield host


def leads() -> dict[int, int]:
    monitor = LinkMonitor()
    monitor.close()
    links = monitor.links.values()
    return {x.ifindex: x.link_netnsid for x in links if x.link_netnsid is not None}


def texts(addresses: frozenset[bytes]) -> set[str]:
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    return {socket.inet_ntop(families[len(address)], address) for address in addresses}


def pod(host: Namespace, inside: Namespace, name: str, *addresses: str) -> None:
    inside.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
    connect(host, inside, name, "eth0")
    for address in addresses:
        extra = ["nodad"] if ":" in address else []
        inside.ip("address", "add", address, "dev", "eth0", *extra)


def test_both_address_families_are_listed_by_namespace(host: Namespace, namespaces: Make) -> None:
    pod(host, namespaces(), "one", "10.9.0.2/32", "fd00::2/128")
    pod(host, namespaces(), "two", "10.9.0.3/24", "10.9.1.3/24")
    found = NamespaceAddresses().of(leads())
    told = sorted(sorted(texts(inside) & WANTED) for inside in found.values())
    assert told == [["10.9.0.2", "fd00::2"], ["10.9.0.3", "10.9.1.3"]]


def test_point_to_point_link_counts_by_its_local_address(host: Namespace, namespaces: Make) -> None:
    inside = namespaces()
    pod(host, inside, "one")
    inside.ip("address", "add", "10.9.0.2", "peer", "10.9.0.3/32", "dev", "eth0")
    (found,) = NamespaceAddresses().of(leads()).values()
    assert texts(found) & WANTED == {"10.9.0.2"}


@pytest.mark.usefixtures("host")
def test_removed_namespace_has_no_addresses() -> None:
    assert NamespaceAddresses().of({7: 1234}) == {1234: frozenset()}


def test_reused_namespace_id_is_queried_again(host: Namespace, namespaces: Make) -> None:
    addresses, first = NamespaceAddresses(), Namespace()
    try:
        pod(host, first, "one", "10.9.0.2/32")
        (before,) = leads().values()
        assert texts(addresses.of(leads())[before]) & WANTED == {"10.9.0.2"}
    finally:
        first.remove()
    wait_for(lambda: not leads())
    pod(host, namespaces(), "two", "10.9.0.3/32")
    assert set(leads().values()) == {before}
    assert texts(addresses.of(leads())[before]) & WANTED == {"10.9.0.3"}


def test_no_links_give_no_addresses() -> None:
    assert NamespaceAddresses().of({}) == {}


def test_namespace_with_addresses_of_several_pods_matches_none(
    host: Namespace, namespaces: Make
) -> None:
    pod(host, namespaces(), "one", "10.9.0.2/32", "10.9.1.3/32")
    pod(host, namespaces(), "two", "10.9.0.3/32", "10.9.0.2/32")
    pods = PodTable()
    pods.put("1", Pod("shop", "web", (bytes([10, 9, 0, 2]), bytes([10, 9, 1, 3]))))
    pods.put("2", Pod("shop", "db", (bytes([10, 9, 0, 3]),)))
    monitor = LinkMonitor()
    monitor.close()
    links = list(monitor.links.values())
    names = {link.ifindex: link.name for link in links}
    behind = PodLinks(pods).of(links)
    assert {names[i]: pod.name for i, pod in behind.items()} == {"one": "web"}
