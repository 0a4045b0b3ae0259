"""Large segments count as the packets they stand for, alike at both ends of a pair."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from support import patience
from support.netns.namespace import Namespace
from support.netns.traffic import receive
from support.netns.wire import watching
from support.patience import PATIENCE, ended, running, wait_for, wait_for_output
from support.service.process import Service, serving
from support.service.seen import Seen, seen

Pair = tuple[Namespace, Namespace]
A, B = "10.99.0.1", "10.99.0.2"
AMOUNT = "20M"
UDP_RATE = "200M"
# Of socket buffers: more than the queues of a veth hold (256 under XDP) would be on their way when
# the CPU is not had, and what finds no room is dropped between the two ends.
FEW = ("-w", "64K")


@pytest.fixture
def joined(pair: Pair) -> Pair:
    """Add addresses of both families and the neighbours, so that there is no other traffic."""
    ends = ((pair[0], "va", 1), (pair[1], "vb", 2))
    for here, name, own in ends:
        # Else interfaces would report the multicast groups they are in.
        chain = "add chain ip6 t out { type filter hook output priority 0; }"
        rule = "add rule ip6 t out meta l4proto icmpv6 drop"
        here.run("nft", f"add table ip6 t; {chain}; {rule}")
        here.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=0")
        here.run("sysctl", "-qw", f"net.ipv6.conf.{name}.router_solicitations=0")
        here.ip("link", "set", name, "mtu", "1500")
        here.ip("address", "add", f"10.99.0.{own}/24", "dev", name)
        here.ip("address", "add", f"fd99::{own}/64", "dev", name, "nodad")
    for (here, name, _), (there, other, number) in (ends, ends[::-1]):
        mac = there.link(other)["address"]
        for address in (f"10.99.0.{number}", f"fd99::{number}"):
            here.ip("neigh", "replace", address, "lladdr", mac, "dev", name, "nud", "permanent")
    return pair


@contextlib.contextmanager
def listening(namespace: Namespace) -> Iterator[None]:
    """Run an iperf3 server for one client."""
    command = namespace.command("iperf3", "-s", "-1", "--forceflush")
    with running(command, stdout=subprocess.PIPE) as server:
        wait_for_output(server, "listening")
        yield
        ended(server)


def transfer(pair: Pair, *options: str, to: str = B) -> None:
    with listening(pair[1]):
        pair[0].run("iperf3", "-c", to, *options)


def settled(service: Service, interface: str, direction: str) -> Seen:
    """Return the metrics of an interface and direction once all connections have ended."""
    states = ("state", "all", "exclude", "listening", "exclude", "time-wait")
    others = ("not", "dst", "127.0.0.1")  # than scrapes
    wait_for(lambda: not service.namespace.run("ss", "-tunH", *states, *others))
    return seen(service.page(), interface, direction)


def packets(found: Seen, name: str = "pktexp_packets_total") -> int:
    return int(sum(value for (n, _), value in found.items() if n == name))


def both_ends_agree(one: Service, other: Service) -> int:
    """Compare both directions; return the packets from `va` to `vb`."""
    for (sender, sent_by), (receiver, received_by) in (
        ((one, "va"), (other, "vb")),
        ((other, "vb"), (one, "va")),
    ):
        sent = settled(sender, sent_by, "egress")
        received = settled(receiver, received_by, "ingress")
        assert sent == received
    return packets(settled(other, "vb", "ingress"))


TRANSFERS = {
    "tcp": ("-n", AMOUNT, *FEW),
    "tcp, small": ("-n", "1M", "-l", "100", "-N", *FEW),
    "udp": ("-u", "-n", AMOUNT, "-b", UDP_RATE),
}


@pytest.mark.parametrize("ingress", ["tcx", "xdp-native"])
@pytest.mark.parametrize("options", TRANSFERS.values(), ids=TRANSFERS)
def test_both_ends_count_large_segments_alike(
    joined: Pair, options: tuple[str, ...], ingress: str
) -> None:
    a, b = joined
    with (
        serving(a, "--interfaces", "va", "--flows", "sockets") as one,
        serving(b, "--interfaces", "vb", "--flows", "sockets", "--ingress", ingress) as other,
    ):
        one.wait_until_attached("va")
        other.wait_until_attached("vb")
        transfer(joined, *options)
        count = both_ends_agree(one, other)
    assert count > 500


@pytest.mark.parametrize("to", [B, "fd99::2"])
def test_large_segments_count_as_packets_of_the_wire(joined: Pair, to: str) -> None:
    a, b = joined
    with (
        serving(a, "--interfaces", "va", "--flows", "sockets") as one,
        serving(b, "--interfaces", "vb", "--flows", "sockets") as other,
    ):
        one.wait_until_attached("va")
        other.wait_until_attached("vb")
        before = b.statistics("vb")[0]
        transfer(joined, "-n", AMOUNT, to=to)
        count = both_ends_agree(one, other)
        buffers = b.statistics("vb")[0] - before
        sizes = settled(other, "vb", "ingress")
    assert count > 2 * buffers  # the kernel counts a large segment as one packet
    larger = {
        dict(labels)["le"]: value
        for (name, labels), value in sizes.items()
        if name == "pktexp_packet_size_bytes_bucket"
    }
    assert larger["1518.0"] == larger["+Inf"] == count  # none is larger than the wire allows


@pytest.mark.parametrize("options", TRANSFERS.values(), ids=TRANSFERS)
def test_without_offloads_both_ends_agree_with_tshark(
    joined: Pair, options: tuple[str, ...]
) -> None:
    a, b = joined
    off = ("tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off")
    for here, name in ((a, "va"), (b, "vb")):
        here.run("ethtool", "-K", name, *off)
    with (
        watching(b, "vb", a, "va") as wire,
        serving(a, "--interfaces", "va", "--flows", "sockets") as one,
        serving(b, "--interfaces", "vb", "--flows", "sockets") as other,
    ):
        one.wait_until_attached("va")
        other.wait_until_attached("vb")
        transfer(joined, *options)
        count = both_ends_agree(one, other)
        received = settled(other, "vb", "ingress")
        sent = settled(other, "vb", "egress")
        frames = wire.frames()
    from_a = [size for source, size in frames if source == A]
    from_b = [size for source, size in frames if source == B]
    assert (len(from_a), sum(from_a)) == (count, packets(received, "pktexp_bytes_total"))
    assert (len(from_b), sum(from_b)) == (packets(sent), packets(sent, "pktexp_bytes_total"))


def send(pair: Pair, to: str, amount: int) -> int:
    """Send `amount` bytes over one TCP connection, and read them.

    Returns the bytes that the sender's kernel sent, retransmissions included.
    """
    a, b = pair
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with contextlib.ExitStack() as stack:
        with b.entered():
            listener = stack.enter_context(socket.create_server((to, 5001), family=family))
        with a.entered():
            client = stack.enter_context(socket.socket(family))
        client.settimeout(PATIENCE)
        client.connect((to, 5001))
        server = stack.enter_context(listener.accept()[0])
        server.settimeout(PATIENCE)
        sender = threading.Thread(target=client.sendall, args=(bytes(amount),))
        sender.start()
        receive(server, amount)
        patience.joined(sender)
        listed = a.run("ss", "-tinH", "dport", "=", "5001")
        return int(listed.split("bytes_sent:")[1].split()[0])


@pytest.mark.parametrize(("to", "network"), [(B, 20), ("fd99::2", 40)])
def test_the_largest_segments_count_exactly(joined: Pair, to: str, network: int) -> None:
    a, b = joined
    for here, name in ((a, "va"), (b, "vb")):  # larger IPv6 segments have a jumbo option
        here.ip("link", "set", name, "gso_max_size", "200000", "gro_max_size", "200000")
    with (
        serving(a, "--interfaces", "va", "--flows", "sockets") as one,
        serving(b, "--interfaces", "vb", "--flows", "sockets") as other,
    ):
        one.wait_until_attached("va")
        other.wait_until_attached("vb")
        sent = send(joined, to, 50_000_000)
        count = both_ends_agree(one, other)
        found = settled(other, "vb", "ingress")
    headers = 14 + network + 20 + 12  # with timestamps (RFC 7323)
    syn = 8  # bytes of options that only the SYN has
    assert packets(found, "pktexp_bytes_total") == sent + count * headers + syn
