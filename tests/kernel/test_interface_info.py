"""pktexp_interface_info, compared with iproute2 while interfaces change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.netns.namespace import Namespace, connect, run
from support.netns.tun import tun
from support.patience import running, wait_for
from support.service.process import Page, select, serving

Pair = tuple[Namespace, Namespace]
Make = Callable[[], Namespace]


def info(page: Page, interface: str) -> dict[str, str]:
    """The labels of the only series that an interface has."""
    ((labels, value),) = select(page, "pktexp_interface_info", interface=interface).items()
    assert value == 1
    return dict(labels)


def test_interface_info_matches_iproute2(pair: Pair) -> None:
    _, b = pair
    b.ip("link", "add", "br0", "type", "bridge")
    b.ip("link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1")
    b.ip("link", "set", "vb", "alias", "uplink to rack 7")
    with tun(b, "tun7"), serving(b) as service:
        page = service.page()
        kinds = {"lo": "loopback", "vb": "veth", "br0": "bridge", "vx0": "vxlan", "tun7": "tun"}
        for name, kind in kinds.items():
            shown, link = info(page, name), b.link(name)
            assert shown["kind"] == kind
            assert shown["class"] == ("loopback" if name == "lo" else "virtual")
            assert shown["ifindex"] == str(link["ifindex"])
            assert shown["mtu"] == str(link["mtu"])
            assert shown["address"] == link.get("address", "")
            assert shown["alias"] == link.get("ifalias", "")
        assert len(select(page, "pktexp_interface_info")) == len(kinds)


def test_bridge_and_its_ports_are_told_from_each_other(pair: Pair) -> None:
    _, b = pair
    b.ip("link", "add", "br0", "type", "bridge")
    b.ip("link", "set", "vb", "master", "br0")
    with serving(b) as service:
        page = service.page()
        assert info(page, "vb")["master"] == b.link("vb")["master"] == "br0"
        found = {name: info(page, name)["has_ports"] for name in ("br0", "vb", "lo")}
        assert found == {"br0": "true", "vb": "", "lo": ""}
        b.ip("link", "set", "vb", "nomaster")
        service.page_when(lambda page: not select(page, "pktexp_interface_info", has_ports="true"))
        assert info(service.page(), "vb")["master"] == ""


def test_excluded_interfaces_are_not_shown(pair: Pair) -> None:
    _, b = pair
    with serving(b, "--exclude-interfaces", "lo") as service:
        assert not select(service.page(), "pktexp_interface_info", interface="lo")
        assert not select(service.page(), "pktexp_interface_dropped_packets_total", interface="lo")


def test_interface_without_a_hook_is_shown(namespaces: Make) -> None:
    b = namespaces()
    for number in range(16):
        b.ip("link", "add", f"br{number}", "type", "bridge")
    with serving(b, "--max-interfaces", "16") as service:  # and there is lo
        page = service.page()
        rows = select(page, "pktexp_interface_attached", hook="none")
        (refused,) = {dict(row)["interface"] for row in rows}
        assert info(page, refused)["ifindex"]


def test_changed_properties_are_shown(pair: Pair) -> None:
    _, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        changes = {"mtu": "1432", "alias": "second floor", "address": "02:00:00:00:00:99"}
        for what, value in changes.items():
            b.ip("link", "set", "vb", what, value)
        wait_for(lambda: info(service.page(), "vb").items() >= changes.items())
        b.ip("link", "set", "vb", "down")
        b.ip("link", "set", "vb", "name", "wan")
        page = service.page_when(
            lambda page: select(page, "pktexp_interface_info", interface="wan")
        )
        assert info(page, "wan").items() >= changes.items()
        assert not select(page, "pktexp_interface_info", interface="vb")
        b.ip("link", "delete", "wan")
        service.page_when(lambda page: not select(page, "pktexp_interface_info", interface="wan"))


def test_any_alias_makes_a_valid_page(pair: Pair) -> None:
    _, b = pair
    awkward = 'a "quoted" \\ back\nslash, \u00e9, {x="y"} 1' + "x" * 200
    assert len(awkward.encode()) < 256
    b.ip("link", "set", "vb", "alias", awkward)
    with serving(b) as service:
        assert info(service.page(), "vb")["alias"] == awkward
        b.ip("link", "set", "vb", "alias", os.fsdecode(b"\xff\xfe"))
        wait_for(lambda: info(service.page(), "vb")["alias"] == "\\xff\\xfe")


def test_peer_namespace_is_named(pair: Pair, namespaces: Make) -> None:
    a, b = pair
    c = namespaces()
    connect(b, c, "to-c", "eth0")
    b.ip("link", "add", "here", "type", "veth", "peer", "there")
    with serving(b) as service:
        page = service.page()
        peers = {name: info(page, name)["peer_netns"] for name in ("vb", "to-c", "here", "there")}
        assert peers == {"vb": a.name, "to-c": c.name, "here": "", "there": ""}
        assert info(page, "lo")["peer_netns"] == ""


@pytest.fixture
def nameless() -> Iterator[int]:
    """A process in a namespace that has no name."""
    with running(["unshare", "--net", "sleep", "1000"]) as process:
        its, own = Path(f"/proc/{process.pid}/ns/net"), Path("/proc/self/ns/net")
        wait_for(lambda: its.readlink() != own.readlink())
        yield process.pid


def test_peer_namespace_name_appears_and_disappears(namespaces: Make, nameless: int) -> None:
    b = namespaces()
    name = f"{b.name}-named"
    b.ip("link", "add", "vb", "type", "veth", "peer", "va")
    with serving(b) as service:
        b.ip("link", "set", "va", "netns", str(nameless))
        b.ip("link", "set", "vb", "up")
        assert info(service.page(), "vb")["peer_netns"] == ""
        run("ip", "netns", "attach", name, str(nameless))
        try:
            wait_for(lambda: info(service.page(), "vb")["peer_netns"] == name)
        finally:
            run("ip", "netns", "delete", name)
        wait_for(lambda: info(service.page(), "vb")["peer_netns"] == "")


def test_moved_peer_is_found_in_its_new_namespace(pair: Pair, namespaces: Make) -> None:
    a, b = pair
    c = namespaces()
    with serving(b) as service:
        service.wait_until_attached("vb")
        assert info(service.page(), "vb")["peer_netns"] == a.name
        a.ip("link", "set", "va", "netns", c.name)
        c.ip("link", "set", "va", "up")
        wait_for(lambda: info(service.page(), "vb")["peer_netns"] == c.name)
