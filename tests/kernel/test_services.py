"""Flows by service: the port that is kept, in every phase of a connection and any packet order."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from pktexp.bpf import libbpf
from pktexp.commands.replay.packets import Packet
from pktexp.commands.replay.run import Replayer
from pktexp.packet.enums import LinkType, Tunnel
from pktexp.settings import FlowMode
from support.kernel.datapath import Bench
from support.kernel.programs import INGRESS, VERDICTS, flow, look
from support.netns.namespace import Namespace
from support.packets.captures import flows
from support.packets.connections import (
    ACK,
    HIGH,
    LOW,
    PSH_ACK,
    RST,
    SYN,
    SYN_ACK,
    End,
    Model,
    Sent,
    life,
    text,
)
from support.service.process import select, serving

HOSTS = {"4": ("192.0.2.1", "192.0.2.2"), "6": ("2001:db8::1", "2001:db8::2")}
PROTOCOLS = ("tcp", "udp", "sctp")
ODD = HIGH - 5  # a server's port that looks like a client's


@pytest.fixture
def services(bench: Callable[..., Bench]) -> Bench:
    return bench(services=True)


def seen(bench: Bench, packet: Sent, program: str = INGRESS) -> tuple[str, str]:
    """Return source and dest of the packet's flow."""
    ((protocol, source, dest, *_),) = look(bench, packet.frame, program).flows
    assert protocol == packet.protocol
    return source, dest


def folded(packet: Sent, server: End) -> tuple[str, str]:
    """Return the source and dest expected if `server` is the serving end."""
    source, dest = packet.source, packet.dest
    return (text(source), dest[0]) if source == server else (source[0], text(dest))


def check(bench: Bench, packets: list[Sent], server: End) -> None:
    for packet in packets:
        for program in VERDICTS:
            assert seen(bench, packet, program) == folded(packet, server), (packet, program)


def test_the_port_outside_the_ephemeral_range_or_the_lower_serves(
    services: Bench,
) -> None:
    clients: dict[int, tuple[int, ...]] = {
        80: (LOW, HIGH, HIGH + 1),
        HIGH + 1: (LOW, HIGH, HIGH + 2),
    }
    clients |= {LOW - 1: (HIGH,), LOW: (HIGH, LOW + 1), LOW - 2: (LOW - 1,)}
    for (a, b), protocol, port in product(HOSTS.values(), PROTOCOLS, clients):
        for client in clients[port]:
            ends = (a, client), (b, port)
            packets = [Sent(*way, protocol, PSH_ACK) for way in (ends, ends[::-1])]
            check(services, packets, (b, port))


def test_equal_ports_are_both_kept(services: Bench) -> None:
    cases = product(HOSTS.values(), PROTOCOLS, (123, LOW), (SYN, SYN_ACK, ACK))
    for hosts, protocol, port, flags in cases:
        packet = Sent((hosts[0], port), (hosts[1], port), protocol, flags)
        assert seen(services, packet) == (text(packet.source), text(packet.dest))


def test_a_syn_decides_the_serving_side_of_its_connection(services: Bench) -> None:
    ports = [(80, ODD), (LOW, ODD), (LOW - 2, LOW - 1), (HIGH + 1, HIGH + 2), (ODD, 443)]
    for hosts, (low, high) in product(HOSTS.values(), ports):
        client, server = (hosts[0], low), (hosts[1], high)
        check(services, life(client, server), server)


def test_a_connection_is_remembered_while_others_appear(services: Bench) -> None:
    client, server = ("192.0.2.1", 80), ("192.0.2.2", ODD)
    packets = life(client, server)
    check(services, packets[:3], server)
    for port in range(1, 2000):
        other = Sent(("192.0.2.3", port), server, "tcp", SYN)
        services.datapath.test_run(other.frame, program=INGRESS)
    services.events()
    check(services, packets[3:], server)


def test_a_syn_ack_alone_decides_the_serving_side(services: Bench) -> None:
    client, server = ("192.0.2.1", 80), ("192.0.2.2", ODD)
    check(services, life(client, server)[1:], server)


def test_a_new_syn_reverses_a_reused_connection(services: Bench) -> None:
    low, high = ("192.0.2.1", 80), ("192.0.2.2", ODD)
    for client, server in ((low, high), (high, low), (low, high)):
        check(services, life(client, server), server)


def test_connections_without_a_seen_syn_go_by_their_ports(services: Bench) -> None:
    known, unknown = ("192.0.2.1", 80), ("192.0.2.1", 81)
    server = ("192.0.2.2", ODD)
    rest = life(unknown, server)[2:]
    check(services, rest[:3], unknown)
    check(services, life(known, server), server)
    check(services, rest[3:], unknown)


def test_ipv6_and_ipv4_connections_are_distinguished(services: Bench) -> None:
    """The IPv6 addresses are the bytes of the IPv4 addresses and zeros."""
    check(services, life(("20.1.0.1", 80), ("20.1.0.2", ODD)), ("20.1.0.2", ODD))
    there = Sent(("1401:1::", 80), ("1401:2::", ODD), "tcp", ACK)
    check(services, [there], there.source)


@pytest.mark.usefixtures("one_cpu")
def test_a_service_is_one_flow_for_all_client_ports(
    bench: Callable[..., Bench],
) -> None:
    cached = bench(services=True, flow_cache=1024)
    for port in range(LOW, LOW + 500):
        packet = Sent(("192.0.2.1", port), ("192.0.2.2", 443), "tcp", PSH_ACK)
        cached.datapath.test_run(packet.frame)
    assert len(cached.events()) == 0
    (record,) = cached.cached()
    assert flow(record)[:4] == ("tcp", "192.0.2.1", "192.0.2.2:443", 500)


def test_a_connection_has_one_serving_side_inside_a_tunnel_too(
    bench: Callable[..., Bench],
) -> None:
    services = bench(services=True, decap=tuple(Tunnel))
    client, server = ("192.0.2.1", 80), ("192.0.2.2", ODD)
    syn, *rest = life(client, server)
    vxlan = Sent(("10.0.0.1", 5555), ("10.0.0.2", 4789), "udp").frame + b"\x08" + bytes(7)
    tunnelled = vxlan + syn.frame
    ((*labels, _, _),) = look(services, tunnelled, INGRESS).flows
    assert labels == ["tcp", *folded(syn, server)]
    check(services, rest, server)


def test_random_packets_match_a_plain_model(
    services: Bench,
) -> None:
    rng, model = random.Random(5), Model()
    ports = [1, 80, LOW - 1, LOW, LOW + 1, HIGH - 1, HIGH, HIGH + 1]
    for _ in range(6000):
        hosts = rng.choice([*HOSTS.values(), ("192.0.2.1", "192.0.2.1")])
        ends = [(host, rng.choice(ports)) for host in hosts]
        rng.shuffle(ends)
        protocol = rng.choice(["tcp", "tcp", "tcp", "tcp", "udp", "sctp"])
        flags = rng.choice([SYN, SYN_ACK, ACK, PSH_ACK, RST, 0, 0xC2, 0x52, 0xFF, 0xEF])
        packet = Sent(ends[0], ends[1], protocol, flags)
        program = rng.choice(list(VERDICTS))
        assert seen(services, packet, program) == model.labels(packet), (packet, program)


def test_a_replay_by_services_shows_one_flow_per_direction() -> None:
    client, server = ("192.0.2.1", 80), ("192.0.2.2", ODD)
    frames = [packet.frame for packet in life(client, server)]
    replayer = Replayer(libbpf.find(), FlowMode.SERVICES)
    packets = [Packet(frame, len(frame), LinkType.ETHERNET) for frame in frames]
    told = flows(replayer.run("capture", packets))
    replayer.close()
    assert {flow: packets for flow, (packets, _) in told.items()} == {
        ("tcp", client[0], text(server)): 5,
        ("tcp", text(server), client[0]): 5,
    }


def test_the_ephemeral_range_is_that_of_the_namespace(
    pair: tuple[Namespace, Namespace],
) -> None:
    """By the initial namespace's range 25000 would serve, as 40000 would be ephemeral."""
    a, b = pair
    b.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=20000 30000")
    with serving(b, "--interfaces", "vb", "--flows", "services") as service:
        service.wait_until_attached("vb")
        packet = Sent(("192.0.2.1", 25000), ("192.0.2.2", 40000), "udp")
        a.send("va", [packet.frame])
        name, labels = "pktexp_flow_packets_total", {"interface": "vb", "protocol": "udp"}
        page = service.page_when(lambda page: select(page, name, **labels))
        ((key, count),) = select(page, name, **labels).items()
    assert (dict(key)["source"], dict(key)["dest"], count) == ("192.0.2.1", "192.0.2.2:40000", 1)
    assert Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split() == [
        str(LOW),
        str(HIGH),
    ]
