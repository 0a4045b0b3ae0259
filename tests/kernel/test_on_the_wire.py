"""A running service between two namespaces, against the packets sent and received."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pktexp.bpf.probes import highest_online_cpu
from support.kernel.attached import attached
from support.kernel.features import ingress_hook, needs_multi_buffer_xdp, needs_tcx
from support.netns.namespace import Namespace, run
from support.netns.wire import MARKER
from support.packets.cases import (
    ETHER,
    V4,
    Case,
    all_cases,
    expected_flows,
    expected_traffic,
    expected_unparsed,
)
from support.patience import PATIENCE, ended, wait_for
from support.service.process import Page, Service, select, serving, total, traffic

Pair = tuple[Namespace, Namespace]
CASES = all_cases()
FLOOD = Path(__file__).parent.parent / "support" / "netns" / "flood.c"
COUNT = 200_000
INGRESS = {"interface": "vb", "direction": "ingress"}


@pytest.fixture(scope="session")
def flood(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build the sender with the compiler of the BPF objects; return its path."""
    program = tmp_path_factory.mktemp("flood") / "flood"
    run("clang", "-O2", "-o", str(program), str(FLOOD))
    return str(program)


def flows(page: Page, interface: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    found = {}
    site = {"interface": interface, "direction": "ingress"}
    for key, packets in select(page, "pktexp_flow_packets_total", **site).items():
        labels = dict(key)
        if packets:
            name = (labels["protocol"], labels["source"], labels["dest"])
            found[name] = (int(packets), int(page["pktexp_flow_bytes_total", key]))
    return found


def packets_of(page: Page, interface: str) -> int:
    return total(page, "pktexp_packets_total", interface=interface, direction="ingress")


def all_flows(page: Page, field: str, interface: str) -> int:
    name = f"pktexp_flow_{field}_total"
    return total(page, name, interface=interface, direction="ingress")


@pytest.mark.parametrize("mode", ["hosts", "sockets"])
@pytest.mark.parametrize("ingress", ["xdp-native", "xdp-generic", "tcx"])
def test_every_packet_and_byte_is_counted(pair: Pair, ingress: str, mode: str) -> None:
    a, b = pair
    # The kernel drops a frame that ends inside a VLAN tag before TCX, but not before XDP.
    cases = [c for c in CASES if ingress != "tcx" or c.name != "cut in a tag"]
    with serving(b, "--interfaces", "vb", "--flows", mode, "--ingress", ingress) as service:
        assert service.wait_until_attached("vb").startswith(ingress)
        a.send("va", [case.frame for case in CASES])
        page = service.page_when(lambda page: packets_of(page, "vb") >= len(cases))
    assert traffic(page, "vb") == expected_traffic(cases)
    assert flows(page, "vb") == expected_flows(cases, sockets=mode == "sockets")
    assert total(page, "pktexp_ring_wakeups_total") == 0  # too few for a wake-up
    unparsed = {
        dict(key)["reason"]: value
        for key, value in select(page, "pktexp_unparsed_packets_total", interface="vb").items()
    }
    assert unparsed == expected_unparsed(cases)
    check_original_metrics(page, cases)
    check_sizes(page, cases)


@pytest.mark.parametrize("option", ["--legacy-metrics", "--no-legacy-metrics"])
def test_legacy_families_alone_depend_on_their_switch(pair: Pair, option: str) -> None:
    a, b = pair
    cases = [case for case in CASES if case.name != "cut in a tag"]  # no hook but XDP sees it
    with serving(b, "--interfaces", "vb", option) as service:
        service.wait_until_attached("vb")
        a.send("va", [case.frame for case in cases])
        page = service.page_when(lambda page: traffic(page, "vb") == expected_traffic(cases))
        written = service.text()
    check_sizes(page, cases)
    if option == "--legacy-metrics":
        check_original_metrics(page, cases)
    else:
        assert not re.findall(r"^(?:# \w+ )?total_\w+", written, re.MULTILINE)


def check_original_metrics(page: Page, cases: list[Case]) -> None:
    """Compare the two metrics of packet-exporter with the cases."""
    assert total(page, "total_packets", interface="vb") == len(cases)
    groups: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for case in cases:
        known = case.protocol in ("tcp", "udp", "icmp", "icmpv6") and case.ip_version
        groups[case.protocol if known else "other"] += 1
        sums[case.protocol if known else "other"] += len(case.frame)
    for group, count in groups.items():
        labels = {"interface": "vb", "protocol": group}
        assert total(page, "total_throughput_count", **labels) == count
        assert total(page, "total_throughput_sum", **labels) == sums[group]


def check_sizes(page: Page, cases: list[Case]) -> None:
    name, site = "pktexp_packet_size_bytes", {"interface": "vb", "direction": "ingress"}
    lengths = [len(case.frame) for case in cases]
    assert total(page, f"{name}_sum", **site) == sum(lengths)
    for key, count in select(page, f"{name}_bucket", **site).items():
        bound = float(dict(key)["le"])
        assert count == sum(length <= bound for length in lengths), bound


def kernel_and_pktexp_agree(b: Namespace, service: Service, before: tuple[int, int]) -> Page:
    """Compare the page, when traffic has ended, with the kernel's statistics; return it."""
    wait_for(lambda: b.statistics("vb") == b.statistics("vb"))
    packets, bytes_ = (now - then for now, then in zip(b.statistics("vb"), before, strict=True))
    page = service.page_when(
        lambda page: all_flows(page, "packets", "vb") == packets_of(page, "vb") >= packets
    )
    assert packets_of(page, "vb") == packets
    assert total(page, "pktexp_bytes_total", interface="vb", direction="ingress") == bytes_
    assert all_flows(page, "bytes", "vb") == bytes_
    return page


@pytest.mark.parametrize("events", ["flow", "packet"])
def test_a_flood_is_counted_exactly_and_every_packet_has_a_flow(
    pair: Pair, flood: str, events: str
) -> None:
    a, b = pair
    connect_ip(pair)
    arguments = ("--interfaces", "vb", "--flows", "sockets", "--events", events)
    with serving(b, *arguments) as service:
        service.wait_until_attached("vb")
        before = b.statistics("vb")
        a.run(flood, "10.99.0.2", str(COUNT), "18", "50")
        page = kernel_and_pktexp_agree(b, service, before)
    udp = total(page, "pktexp_packets_total", **INGRESS, protocol="udp")
    assert udp == b.statistics("vb")[0] - before[0]  # all that were not dropped on the wire
    lost = total(page, "pktexp_event_lost_packets_total")
    records = total(page, "pktexp_events_total")
    if events == "packet":
        assert records + lost == total(page, "pktexp_packets_total")
        assert total(page, "pktexp_ring_wakeups_total") > 0  # more than the timer's four a second
    else:
        assert (records, lost) == (0, 0)  # 50 flows: none had to leave the cache
        drains = total(page, "pktexp_flow_cache_drains_total")
        assert 50 <= total(page, "pktexp_flow_cache_records_total") <= 2 * 52 * drains
    assert len([key for key in flows(page, "vb") if key[1] != "other"]) == 50


@pytest.mark.parametrize("events", ["flow", "packet"])
def test_a_full_ring_loses_flows_but_no_totals(pair: Pair, flood: str, events: str) -> None:
    a, b = pair
    connect_ip(pair)
    size = ("--ring-size", "4096", "--flow-cache", "4KiB")
    arguments = ("--interfaces", "vb", "--flows", "sockets", "--events", events, *size)
    with serving(b, *arguments) as service:
        service.wait_until_attached("vb")
        before = b.statistics("vb")
        a.run(flood, "10.99.0.2", str(COUNT), "18", "50")
        page = kernel_and_pktexp_agree(b, service, before)
    lost = total(page, "pktexp_event_lost_packets_total", **INGRESS)
    assert lost > 0
    other = total(page, "pktexp_flow_packets_total", **INGRESS, source="other")
    named = all_flows(page, "packets", "vb") - other
    assert named + (other - lost) + lost == packets_of(page, "vb")
    assert other == lost  # 50 flows: only lost events are in other
    if events == "packet":
        sent_and_received = total(page, "pktexp_packets_total", interface="vb")
        all_lost = total(page, "pktexp_event_lost_packets_total")
        assert total(page, "pktexp_events_total") + all_lost == sent_and_received


def test_more_flows_than_the_limit_fold_into_other(pair: Pair, flood: str) -> None:
    a, b = pair
    connect_ip(pair)
    arguments = ("--interfaces", "vb", "--flows", "sockets", "--max-flows", "10")
    with serving(b, *arguments) as service:
        service.wait_until_attached("vb")
        before = b.statistics("vb")
        a.run(flood, "10.99.0.2", "20000", "18", "500")
        page = kernel_and_pktexp_agree(b, service, before)
    shown = [dict(labels) for labels in select(page, "pktexp_flow_packets_total")]
    assert len([labels for labels in shown if labels["source"] != "other"]) == 10
    assert total(page, "pktexp_flow_packets_total", **INGRESS, source="other") > 0


def test_totals_are_exact_with_flows_off(pair: Pair, flood: str) -> None:
    a, b = pair
    connect_ip(pair)
    with serving(b, "--interfaces", "vb", "--flows", "off") as service:
        service.wait_until_attached("vb")
        before = b.statistics("vb")
        a.run(flood, "10.99.0.2", "5000", "18", "5")
        page = service.page()
        said = service.wait_for_line("kernel memory: ")
    assert packets_of(page, "vb") == b.statistics("vb")[0] - before[0]
    assert not select(page, "pktexp_flow_packets_total")
    assert not select(page, "pktexp_flow_cache_drains_total")
    assert total(page, "pktexp_flow_cache_memory_bytes") == 0
    assert said.endswith("rings 0 KiB, flow cache 0 KiB (off), cgroups 0 KiB")


def test_the_log_and_the_page_show_the_flow_caches_memory(pair: Pair) -> None:
    _, b = pair
    cpus = highest_online_cpu() + 1
    with serving(b, "--interfaces", "vb", "--flow-cache", "256KiB") as service:
        said = service.wait_for_line("kernel memory: ")
        page = service.page()
    flows = 256 * 1024 // 128 // cpus // 4 * 4
    cached = f"flow cache {cpus * flows // 8} KiB ({flows} flows a CPU)"
    assert said.endswith(f"{cached}, cgroups 0 KiB")
    assert total(page, "pktexp_flow_cache_memory_bytes") == cpus * flows * 128
    assert total(page, "pktexp_flow_cache_limit") == flows


def test_two_workers_share_a_flood_without_losses(pair: Pair, flood: str) -> None:
    a, b = pair
    connect_ip(pair)
    arguments = ("--interfaces", "vb", "--flows", "sockets", "--workers", "2")
    with serving(b, *arguments) as service:
        service.wait_until_attached("vb")
        before = b.statistics("vb")
        senders = [
            subprocess.Popen(
                a.command("taskset", "-c", str(cpu), flood, "10.99.0.2", "50000", "18", "50"),
                text=True,
            )
            for cpu in (0, 1)
        ]
        assert [ended(sender)[0] for sender in senders] == [0, 0]
        page = kernel_and_pktexp_agree(b, service, before)
    assert len(select(page, "pktexp_events_total")) == 2


def connect_ip(pair: Pair) -> None:
    """Add addresses and neighbours, so that only the flood is on the wire."""
    a, b = pair
    a.ip("address", "add", "10.99.0.1/24", "dev", "va")
    b.ip("address", "add", "10.99.0.2/24", "dev", "vb")
    a.ip("neigh", "add", "10.99.0.2", "lladdr", b.link("vb")["address"], "dev", "va")
    b.ip("neigh", "add", "10.99.0.1", "lladdr", a.link("va")["address"], "dev", "vb")


def received(b: Namespace, a: Namespace, frames: list[bytes]) -> list[bytes]:
    """Send frames; return those that reach a packet socket behind the interface."""
    with b.packet_socket("vb") as raw:
        raw.settimeout(PATIENCE)
        a.send("va", [*frames, MARKER])
        got: list[bytes] = []
        while not got or got[-1] != MARKER:
            frame, address = raw.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:  # answers of the namespace
                got.append(frame)
    return got[:-1]


@pytest.mark.usefixtures("one_cpu")  # which keeps the order of frames
def test_packets_pass_unchanged_with_pktexp_attached(pair: Pair) -> None:
    a, b = pair
    frames = [case.frame for case in CASES]
    for case in CASES:
        frames += [case.frame[:length] for length in range(14, min(len(case.frame), 80), 7)]
    without = received(b, a, frames)
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        with_pktexp = received(b, a, frames)
    assert len(without) > 0.95 * len(frames)  # the kernel drops some frames cut inside a tag
    assert with_pktexp == without


@needs_tcx
@pytest.mark.parametrize(
    ("ingress", "expected"),
    [("xdp", {"xdp": 1, "tcx-egress": 1}), ("tcx", {"tcx-ingress": 1, "tcx-egress": 1})],
)
def test_a_killed_process_leaves_nothing_attached(
    pair: Pair, ingress: str, expected: dict[str, int]
) -> None:
    _, b = pair
    arguments = ("--interfaces", "vb", "--ingress", ingress)
    with serving(b, *arguments, status=-signal.SIGKILL) as service:
        service.wait_until_attached("vb")
        assert attached(b, "vb") == expected
        service.stop(signal.SIGKILL)
        wait_for(lambda: not attached(b, "vb"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_process_leaves_nothing_attached(pair: Pair, number: int) -> None:
    _, b = pair
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        assert service.stop(number) == 0
        assert not attached(b, "vb")
        assert service.messages("ERROR", "WARNING") == []


@pytest.mark.parametrize(
    "ingress", [pytest.param("xdp-native", marks=needs_multi_buffer_xdp), "tcx"]
)
def test_frames_larger_than_a_page_count_fully(pair: Pair, ingress: str) -> None:
    a, b = pair
    frame = bytes(ETHER / V4) + bytes(8900)
    with serving(b, "--interfaces", "vb", "--ingress", ingress) as service:
        assert service.wait_until_attached("vb") == ingress_hook(ingress)
        a.send("va", [frame] * 10)
        page = service.page_when(lambda page: packets_of(page, "vb") >= 10)
    assert traffic(page, "vb") == {("other", "4"): (10, 10 * len(frame))}
    assert flows(page, "vb") == {("other", "192.0.2.1", "192.0.2.2"): (10, 10 * len(frame))}
