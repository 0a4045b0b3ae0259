"""Packets at every hook: the metrics are identical, and each packet counts once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from pktexp.bpf.hookchoice import STRIPPED
from pktexp.commands.replay.captures import reading
from pktexp.errors import PktexpError
from pktexp.packet.enums import LinkType
from support.kernel.attached import attached
from support.kernel.features import ingress_hook, needs_multi_buffer_xdp
from support.netns.namespace import Namespace, connect
from support.netns.tun import tun
from support.packets.captures import write_pcap
from support.packets.cases import ETHER, V4, all_cases
from support.packets.encapsulations import all_frames
from support.patience import wait_for
from support.service.onbus import on_bus
from support.service.process import Service, select, serving, total
from support.service.seen import Seen, seen

Pair = tuple[Namespace, Namespace]
Make = Callable[[], Namespace]
BESIDE = Path(__file__).parents[3] / "shared" / "captures"
CAPTURES = Path(os.environ.get("PKTEXP_CAPTURES", BESIDE))
MODES = ("xdp-native", "xdp-generic", "tcx")
LARGEST = 9014  # bytes of the largest frame that the pair accepts
FRAME = bytes(ETHER / V4)


def passes_to_tcx(frame: bytes) -> bool:
    """Before TCX the kernel drops a frame that ends inside a VLAN tag (6.18, skb_vlan_untag)."""
    return frame[12:14] not in (b"\x81\x00", b"\x88\xa8") or len(frame) >= 20


def own_frames(folder: Path) -> list[bytes]:
    """Return every case and every encapsulation, read back from a capture."""
    made = [case.frame for case in all_cases()] + [bytes(frame) for frame in all_frames()]
    return read(write_pcap(folder / "own.pcap", made))


def read(path: Path) -> list[bytes]:
    frames = []
    try:
        with reading(path) as packets:
            frames = [p.data for p in packets if p.link_type is LinkType.ETHERNET]
    except PktexpError:
        pass  # the packets before the broken one are enough
    return [f for f in frames if 14 <= len(f) <= LARGEST and passes_to_tcx(f)]


def metrics(pair: Pair, mode: str, frames: Sequence[bytes]) -> Seen:
    """Return the metrics of these frames, received at one hook."""
    a, b = pair
    arguments = ("--flows", "sockets", "--max-flows", "100000", "--decap", "all")
    with serving(b, "--interfaces", "vb", "--ingress", mode, *arguments) as service:
        assert service.wait_until_attached("vb") == ingress_hook(mode)
        with a.packet_socket("va") as raw:
            for frame in frames:
                raw.send(frame)
        page = service.page_when(
            lambda page: total(page, "total_packets", interface="vb") >= len(frames)
        )
    assert total(page, "pktexp_event_lost_packets_total") == 0
    return seen(page, "vb")


def all_agree(pair: Pair, frames: Sequence[bytes]) -> Seen:
    first, *others = (metrics(pair, mode, frames) for mode in MODES)
    for mode, other in zip(MODES[1:], others, strict=True):
        assert dict(first.items() - other.items()) == dict(other.items() - first.items()), mode
    return first


def test_every_frame_gives_the_same_metrics_at_every_hook(pair: Pair, tmp_path: Path) -> None:
    frames = own_frames(tmp_path)
    found = all_agree(pair, frames)
    assert len(frames) > 500
    names = {name for name, _ in found}
    assert {"pktexp_tcp_flags_total", "pktexp_tunnelled_packets_total"} <= names
    packets = (v for (name, _), v in found.items() if name == "pktexp_packets_total")
    assert sum(packets) == len(frames)


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures there: name some, PKTEXP_CAPTURES=")
def test_public_captures_give_the_same_metrics_at_every_hook(pair: Pair) -> None:
    paths = sorted(p for p in CAPTURES.rglob("*.pcap") if p.stat().st_size < 40_000)
    frames = [frame for path in paths for frame in read(path)]
    assert len(frames) > 2000
    all_agree(pair, frames)


def test_hardware_is_attached_at_tcx_without_a_warning(pair: Pair, tmp_path: Path) -> None:
    _, b = pair
    with serving(b, "--interfaces", "vb", prefix=on_bus(tmp_path, "vb")) as service:
        assert service.wait_until_attached("vb") == ingress_hook("tcx")
        assert "xdp" not in attached(b, "vb")
        assert service.messages("warning") == []


def test_forced_xdp_of_hardware_is_logged_before_it_is_attached(pair: Pair, tmp_path: Path) -> None:
    _, b = pair
    options = ("--interfaces", "vb", "--ingress", "xdp-native")
    with serving(b, *options, prefix=on_bus(tmp_path, "vb")) as service:
        assert service.wait_until_attached("vb") == "xdp-native"
        told = [line for line in service.messages() if line.startswith("vb: ")]
    warning = "vb: attaching at xdp-native: veth takes segmentation offload from its peer"
    assert told[0] == f"{warning}; {STRIPPED}"  # a veth has rx-vlan-offload
    assert told[1].startswith("vb: counting at xdp-native")


def test_no_egress_attaches_and_shows_only_ingress(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", "--no-egress") as service:
        service.wait_until_attached("vb")
        assert attached(b, "vb") == {"tcx-ingress": 1}
        b.send("vb", [FRAME] * 3)
        a.send("va", [FRAME] * 2)
        page = service.page_when(lambda page: total(page, "total_packets") >= 2)
        assert 'direction="egress"' not in service.text().replace(DEVICE_DROPS, "")
    assert total(page, "pktexp_packets_total") == 2


DEVICE_DROPS = 'pktexp_interface_dropped_packets_total{direction="egress",interface="vb"'


def counts(service: Service, interface: str, frames: int) -> dict[str, int]:
    """Return packets by direction, when at least `frames` have been counted."""
    name = "pktexp_packets_total"
    page = service.page_when(lambda page: total(page, name, interface=interface) >= frames)
    directions = ("ingress", "egress")
    return {d: total(page, name, interface=interface, direction=d) for d in directions}


def test_a_loopback_packet_counts_once_for_each_direction(pair: Pair) -> None:
    _, b = pair
    with serving(b, "--interfaces", "lo") as service:
        service.wait_until_attached("lo")
        before = b.statistics("lo")[0]
        b.run("ping", "-q", "-c", "3", "-i", "0.01", "127.0.0.1")
        received = b.statistics("lo")[0] - before
        pings = total(service.page(), "pktexp_icmp_packets_total", direction="ingress")
        sent = total(service.page(), "pktexp_icmp_packets_total", direction="egress")
    assert received >= pings == sent == 6


def test_a_bridge_and_its_ports_count_separately(pair: Pair, namespaces: Make) -> None:
    a, b = pair
    c = namespaces()
    connect(b, c, "port", "vc")
    # With snooping the bridge would join the group of snoopers and send reports.
    b.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
    for port in ("vb", "port"):
        b.ip("link", "set", port, "master", "br0")
    b.ip("link", "set", "br0", "up")
    with serving(b) as service:
        for name in ("vb", "port", "br0"):
            service.wait_until_attached(name)
        a.send("va", [FRAME] * 4)  # to an unknown address: flooded
        wait_for(lambda: c.statistics("vc")[0] >= 4)
        assert counts(service, "vb", 4) == {"ingress": 4, "egress": 0}
        assert counts(service, "port", 4) == {"ingress": 0, "egress": 4}


def test_packets_of_a_tun_device_are_parsed_from_the_ip_header(namespaces: Make) -> None:
    b = namespaces()
    with tun(b, "tun7"):
        b.ip("address", "add", "10.77.0.1/24", "dev", "tun7")
        with serving(b, "--interfaces", "tun7") as service:
            service.wait_until_attached("tun7")
            b.run("sh", "-c", "ping -q -c 2 -i 0.01 -W 1 10.77.0.2 || true")
            page = service.page_when(
                lambda page: total(page, "pktexp_packets_total", direction="egress") >= 2
            )
    (key,) = select(page, "pktexp_icmp_packets_total")
    assert dict(key) == {
        "interface": "tun7",
        "direction": "egress",
        "protocol": "icmp",
        "type": "echo_request",
    }
    assert total(page, "pktexp_bytes_total", protocol="icmp") == 2 * 84


@pytest.mark.parametrize("mode", [pytest.param("xdp-native", marks=needs_multi_buffer_xdp), "tcx"])
def test_headers_beyond_the_linear_part_are_parsed(pair: Pair, mode: str) -> None:
    """Of a large frame of a packet socket only the link-layer header is in the linear part."""
    inner = ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1000, dport=80)
    frames = [
        bytes(ETHER / V4 / UDP(sport=1234, dport=53) / Raw(bytes(6000))),
        bytes(
            ETHER / V4 / UDP(sport=4, dport=4789) / VXLAN(flags=8, vni=1) / inner / Raw(bytes(6000))
        ),
    ]
    found = metrics(pair, mode, frames)
    flows = {
        (dict(key)["protocol"], dict(key)["source"], dict(key)["dest"]): int(value)
        for (name, key), value in found.items()
        if name == "pktexp_flow_packets_total"
    }
    assert flows == {
        ("udp", "192.0.2.1:1234", "192.0.2.2:53"): 1,
        ("tcp", "10.0.0.1:1000", "10.0.0.2:80"): 1,
    }
    assert not [name for name, _ in found if name == "pktexp_unparsed_packets_total"]
