"""Programs of others on the same interface keep working, and pktexp counts."""

from __future__ import annotations

import contextlib
import ctypes as c
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktexp.bpf import libbpf
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.hooks import LINKS
from pktexp.bpf.libbpf import LinkCreateOpts
from pktexp.bpf.object import BpfObject
from support.kernel.attached import attached, programs
from support.kernel.datapath import build
from support.netns.namespace import Namespace
from support.netns.traffic import A, Side, addressed, knock
from support.patience import PATIENCE, running, wait_for_output
from support.service.process import Service, serving, total

Pair = tuple[Namespace, Namespace]
Sides = tuple[Side, Side]
SOURCE = Path(__file__).parent.parent / "support" / "kernel" / "neighbour.bpf.c"
DROPPED = 5555
FILTER = f"""
set -e
mount -t bpf bpf /sys/fs/bpf
xdp-filter load vb -f udp,ipv4
xdp-filter port {DROPPED} -m dst -p udp
echo loaded
read -r end
xdp-filter unload vb
"""


@pytest.fixture
def sides(pair: Pair) -> Iterator[Sides]:
    with addressed(*pair) as both:
        yield both


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BpfObject]:
    built = build(SOURCE, tmp_path_factory.mktemp("neighbour"))
    with contextlib.closing(BpfObject(libbpf.find(), built)) as loaded:
        loaded.load(["drop_port"])
        yield loaded


@contextlib.contextmanager
def xdp_filter(namespace: Namespace) -> Iterator[None]:
    """Drop UDP to a port by xdp-filter at XDP, while the context is open."""
    namespace.ip("link", "set", "vb", "mtu", "1500")  # it supports frames of one buffer only
    command = namespace.command("sh", "-c", FILTER)
    pipe = subprocess.PIPE
    with running(command, stdin=pipe, stdout=pipe) as process:
        wait_for_output(process, "loaded")
        yield
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@contextlib.contextmanager
def dropping(namespace: Namespace, neighbour: BpfObject, hook: Hook) -> Iterator[int]:
    """Attach the neighbour last at a TCX hook of `vb`; yield its program's id."""
    kind, _ = LINKS[hook]
    fd = neighbour.program_fd("drop_port")
    with namespace.entered():
        options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts))
        arguments = (fd, socket.if_nametoindex("vb"), kind, c.byref(options))
        link = libbpf.find()("attach the neighbour", "bpf_link_create", *arguments)
    try:
        info = Path(f"/proc/self/fdinfo/{fd}").read_text()
        yield int(info.partition("prog_id:")[2].split()[0])
    finally:
        os.close(link)


def udp(service: Service, direction: str, at_least: int) -> int:
    """Return the UDP packets counted at `vb`, when there are at least `at_least`."""
    labels = {"interface": "vb", "direction": direction, "protocol": "udp"}
    page = service.page_when(lambda p: total(p, "pktexp_packets_total", **labels) >= at_least)
    return total(page, "pktexp_packets_total", **labels)


@pytest.mark.parametrize("ingress", ["xdp", "xdp-native", "xdp-generic"])
def test_packets_that_xdp_filter_passes_count_at_tcx(sides: Sides, ingress: str) -> None:
    a, b = sides
    a.namespace.ip("link", "set", "va", "mtu", "1500")
    with xdp_filter(b.namespace):
        with serving(b.namespace, "--interfaces", "vb", "--ingress", ingress) as service:
            assert service.wait_until_attached("vb") == "tcx-ingress"
            (line,) = [m for m in service.messages() if m.startswith("vb: counting at")]
            assert f"not at {ingress}" in line
            assert "another XDP program is attached" in line
            knock(a, DROPPED, 5)
            knock(a, 999, 7)
            assert udp(service, "ingress", 7) == 7
            assert attached(b.namespace, "vb") == {"xdp": 1, "tcx-ingress": 1, "tcx-egress": 1}
        knock(a, DROPPED, 5)
        knock(a, 999, 1)
        assert b.statistic("UdpNoPorts") == 8  # all packets to its port were dropped
        assert attached(b.namespace, "vb") == {"xdp": 1}


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_ingress_counts_before_another_tcx_program_drops(
    sides: Sides, neighbour: BpfObject, first: str
) -> None:
    a, b = sides
    with contextlib.ExitStack() as stack:
        there = dropping(b.namespace, neighbour, Hook.TCX_INGRESS)
        theirs = stack.enter_context(there) if first == "theirs" else 0
        service = stack.enter_context(serving(b.namespace, "--interfaces", "vb"))
        service.wait_until_attached("vb")
        theirs = theirs or stack.enter_context(there)
        before, after = programs(b.namespace, "vb", "tcx-ingress")
        assert after == theirs != before
        knock(a, DROPPED, 5)
        knock(a, 999, 7)
        assert udp(service, "ingress", 12) == 12
        assert b.statistic("UdpNoPorts") == 7


def test_egress_counts_after_another_tcx_program_drops(sides: Sides, neighbour: BpfObject) -> None:
    a, b = sides
    with (
        dropping(b.namespace, neighbour, Hook.TCX_EGRESS) as theirs,
        serving(b.namespace, "--interfaces", "vb") as service,
    ):
        service.wait_until_attached("vb")
        before, after = programs(b.namespace, "vb", "tcx-egress")
        assert before == theirs != after
        knock(b, DROPPED, 5, to=A)
        knock(b, 999, 7, to=A)
        assert udp(service, "egress", 7) == 7
        assert a.statistic("UdpNoPorts") == 7


def test_another_program_stays_when_pktexp_ends(sides: Sides, neighbour: BpfObject) -> None:
    a, b = sides
    with dropping(b.namespace, neighbour, Hook.TCX_INGRESS) as theirs:
        with serving(b.namespace, "--interfaces", "vb") as service:
            service.wait_until_attached("vb")
        assert programs(b.namespace, "vb", "tcx-ingress") == [theirs]
        knock(a, DROPPED, 3)
        assert b.statistic("UdpNoPorts") == 0
