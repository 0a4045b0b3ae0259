"""A running service follows interfaces that appear, disappear, change name or move."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from support.netns.namespace import Namespace, connect
from support.netns.tun import tun
from support.packets.cases import ETHER, V4, V6
from support.patience import wait_for
from support.service.process import Page, Service, select, serving, total, traffic

Pair = tuple[Namespace, Namespace]
Make = Callable[[], Namespace]
FRAME = bytes(ETHER / V4)
INGRESS = {"direction": "ingress"}
COUNTING = "vb: counting at tcx-ingress, tcx-egress"


def shown(page: Page) -> set[str]:
    return {dict(key)["interface"] for key in select(page, "pktexp_interface_attached")}


def wait_for_packets(service: Service, interface: str, count: int) -> Page:
    return service.page_when(
        lambda page: total(page, "total_packets", interface=interface) >= count
    )


def test_two_hundred_interfaces_appear_and_disappear_without_a_leak(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--max-interfaces", "64") as service:  # all counters exist from the start
        service.wait_until_attached("vb")
        service.page()
        programs, maps, files = service.held("prog"), service.held("map"), service.open_files()
        for number in range(200):
            b.ip("link", "add", f"x{number}", "type", "veth", "peer", f"y{number}")
            b.ip("link", "delete", f"x{number}")
        connect(a, b, "last", "tail")
        service.wait_until_attached("tail")
        a.send("last", [FRAME] * 25)
        page = wait_for_packets(service, "tail", 25)
        assert traffic(page, "tail") == {("other", "4"): (25, 25 * len(FRAME))}
        wait_for(lambda: shown(service.page()) == {"lo", "vb", "tail"})
        assert service.held("prog") == programs
        assert service.held("map") == maps
        assert service.open_files() <= files + 2  # the links of "tail"
        assert service.messages("ERROR") == []
        assert total(service.page(), "pktexp_interface_follow_failures_total") == 0


def test_more_interfaces_than_the_soft_limit_of_open_files_are_counted(pair: Pair) -> None:
    _, b = pair
    run_batch(b, "\n".join(f"link add x{n} type veth peer y{n}" for n in range(40)))
    with serving(b, prefix=["prlimit", "--nofile=64:4096"]) as service:
        page = service.page()
        assert len(shown(page)) == 82
        assert total(page, "pktexp_interface_attached") == 2 * 82


def test_interface_with_an_ifindex_above_70000_is_counted(pair: Pair) -> None:
    a, b = pair
    b.ip("link", "add", "big", "index", "70001", "type", "veth", "peer", "small")
    b.ip("link", "set", "small", "netns", a.name)
    b.ip("link", "set", "big", "up")
    a.ip("link", "set", "small", "up")
    with serving(b, "--interfaces", "big") as service:
        service.wait_until_attached("big")
        a.send("small", [FRAME] * 7)
        page = wait_for_packets(service, "big", 7)
    assert traffic(page, "big") == {("other", "4"): (7, 7 * len(FRAME))}


def test_recreated_interface_continues_its_counters(pair: Pair) -> None:
    a, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        a.send("va", [FRAME] * 3)
        wait_for_packets(service, "vb", 3)
        b.ip("link", "delete", "vb")
        page = service.page_when(lambda page: "vb" not in shown(page))
        assert total(page, "total_packets", interface="vb") == 3  # kept at its last value
        connect(a, b, "va", "vb")
        service.wait_until_attached("vb")
        a.send("va", [FRAME] * 4)
        page = wait_for_packets(service, "vb", 7)
    assert total(page, "pktexp_flow_packets_total", **INGRESS, interface="vb") == 7


def test_interface_replaced_unseen_is_attached_again(
    pair: Pair,
) -> None:
    a, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        index = str(b.link("vb")["ifindex"])
        os.kill(service.pid, signal.SIGSTOP)
        try:
            b.ip("link", "delete", "vb")
            peer = ("peer", "name", "va", "index", "99")  # else it might take that index
            b.ip("link", "add", "vb", "index", index, "type", "veth", *peer)
            b.ip("link", "set", "va", "netns", a.name)
            b.ip("link", "set", "vb", "up")
            a.ip("link", "set", "va", "up")
        finally:
            os.kill(service.pid, signal.SIGCONT)
        wait_for(lambda: service.messages().count(COUNTING) == 2)
        a.send("va", [FRAME] * 4)
        wait_for_packets(service, "vb", 4)


def test_renamed_interface_continues_under_its_new_name(pair: Pair) -> None:
    a, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        a.send("va", [FRAME] * 3)
        wait_for_packets(service, "vb", 3)
        b.ip("link", "set", "vb", "down")
        b.ip("link", "set", "vb", "name", "wan")
        b.ip("link", "set", "wan", "up")
        service.wait_until_attached("wan")
        a.send("va", [FRAME] * 4)
        page = wait_for_packets(service, "wan", 4)
    assert total(page, "total_packets", interface="wan") == 4
    assert total(page, "total_packets", interface="vb") == 3
    assert total(page, "pktexp_flow_packets_total", **INGRESS, interface="wan") == 4
    assert total(page, "pktexp_flow_packets_total", **INGRESS, interface="vb") == 3


def test_swapped_names_keep_their_traffic(pair: Pair) -> None:
    a, b = pair
    connect(a, b, "vc", "vd")
    with serving(b) as service:
        service.wait_until_attached("vd")
        a.send("va", [FRAME] * 3)
        wait_for_packets(service, "vb", 3)
        for old, new in (("vb", "tmp"), ("vd", "vb"), ("tmp", "vd")):
            b.ip("link", "set", old, "down")
            b.ip("link", "set", old, "name", new)
            b.ip("link", "set", new, "up")
        names = {b.link("vb")["ifindex"], b.link("vd")["ifindex"]}
        assert len(names) == 2
        wait_for(lambda: shown(service.page()) == {"lo", "vb", "vd"})
        wait_for(lambda: any("now named vd" in message for message in service.messages()))
        a.send("vc", [FRAME] * 5)  # arrives at what is now vb
        page = wait_for_packets(service, "vb", 8)
    assert total(page, "total_packets", interface="vd") == 0


def test_interface_moved_to_another_namespace_is_released(pair: Pair, namespaces: Make) -> None:
    _, b = pair
    other = namespaces()
    with serving(b) as service:
        service.wait_until_attached("vb")
        b.ip("link", "set", "vb", "netns", other.name)
        wait_for(lambda: shown(service.page()) == {"lo"})
        assert "xdp" not in other.link("vb")
        other.ip("link", "set", "vb", "netns", b.name)
        service.wait_until_attached("vb")


def test_flapping_interface_stays_attached_and_exact(pair: Pair) -> None:
    a, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        for _ in range(10):
            b.ip("link", "set", "vb", "down")
            b.ip("link", "set", "vb", "up")
            a.send("va", [FRAME])
        page = wait_for_packets(service, "vb", 10)
        assert total(page, "total_packets", interface="vb") == 10
        assert [m for m in service.messages() if m.startswith("vb: counting")] == [COUNTING]


def test_globs_select_interfaces_and_unmatched_ones_log_a_warning(pair: Pair) -> None:
    a, b = pair
    connect(a, b, "vc", "vd")
    arguments = ("--interfaces", "v*", "--interfaces", "wlan*", "--exclude-interfaces", "*d")
    with serving(b, *arguments) as service:
        service.wait_until_attached("vb")
        assert shown(service.page()) == {"vb"}
        (warning,) = service.messages("WARNING")
        assert "wlan*" in warning
        connect(a, b, "ve", "wlan0")
        service.wait_until_attached("wlan0")


def test_service_is_ready_before_any_interface_matches(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "later") as service:
        assert service.get("readyz").status == 200
        connect(a, b, "vc", "later")
        service.wait_until_attached("later")


def test_tun_device_is_parsed_from_the_ip_header(namespaces: Make) -> None:
    b = namespaces()
    b.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
    with tun(b, "tun7") as fd, serving(b, "--interfaces", "tun7") as service:
        service.wait_until_attached("tun7")
        for packet in (bytes(V4), bytes(V6), bytes(V4)):
            os.write(fd, packet)
        page = wait_for_packets(service, "tun7", 3)
    assert traffic(page, "tun7") == {("other", "4"): (2, 40), ("other", "6"): (1, 40)}
    assert not select(page, "pktexp_unparsed_packets_total")


def test_netlink_overrun_lists_every_interface_again(pair: Pair) -> None:
    a, b = pair
    with serving(b) as service:
        service.wait_until_attached("vb")
        os.kill(service.pid, signal.SIGSTOP)  # nothing reads the socket
        try:
            batch = "\n".join(
                f"link set vb alias {number}"
                if number % 2
                else f"link set vb mtu {1400 + number % 50}"
                for number in range(20_000)
            )
            run_batch(b, batch)
            connect(a, b, "vc", "vd")
        finally:
            os.kill(service.pid, signal.SIGCONT)
        service.wait_until_attached("vd")
        page = service.page()
        assert total(page, "pktexp_netlink_overruns_total") > 0
        assert shown(page) == {"lo", "vb", "vd"}
        assert service.messages("ERROR") == []


def run_batch(namespace: Namespace, lines: str) -> None:
    path = Path(f"/tmp/{namespace.name}.batch")
    path.write_text(lines)
    try:
        namespace.ip("-batch", str(path))
    finally:
        path.unlink()


def test_port_leaving_its_bridge_stays_attached(pair: Pair) -> None:
    a, b = pair
    b.ip("link", "add", "br0", "type", "bridge")
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        b.ip("link", "set", "vb", "master", "br0")
        b.ip("link", "set", "vb", "nomaster")
        b.ip("link", "set", "vb", "alias", "told-after-that")
        connect(a, b, "vc", "vd")
        a.send("va", [FRAME] * 2)
        wait_for_packets(service, "vb", 2)
        assert "vb: gone" not in service.messages()
