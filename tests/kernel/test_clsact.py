"""The clsact filters of kernels without TCX, on a kernel that seems to have none."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pktexp.bpf import datapath as datapath_module
from pktexp.bpf import libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.ingressrules import IngressRules
from pktexp.bpf.options import DatapathOptions
from pktexp.interfaces.attacher import Attacher
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction, LinkType
from support.kernel.attached import attached
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import wait_for
from support.service.oldkernel import without_tcx
from support.service.process import select, serving, traffic

Pair = tuple[Namespace, Namespace]
FRAME = bytes(ETHER / V4)
SLOT = 3


@pytest.fixture
def datapath(monkeypatch: pytest.MonkeyPatch) -> Iterator[Datapath]:
    monkeypatch.setattr(datapath_module, "has_tcx", lambda _: False)
    made = Datapath(libbpf.find(), DatapathOptions(slots=16, events=False))
    yield made
    made.close()


@pytest.fixture
def python(tmp_path: Path) -> str:
    return without_tcx(tmp_path)


def attach(namespace: Namespace, datapath: Datapath) -> int:
    """Count `vb` in both directions; return its ifindex."""
    datapath.counters.require(SLOT)
    with namespace.entered():
        vb = Link(socket.if_nametoindex("vb"), "vb", 1, True, 1500, kind="veth")
        InterfaceTable(datapath.interfaces).set(vb.ifindex, SLOT, LinkType.ETHERNET)
        hooks = Attacher(datapath.hooks, IngressRules(), tuple(Direction)).attach(vb, {}).hooks
    assert list(hooks.values()) == ["clsact-ingress", "clsact-egress"]
    return vb.ifindex


def counted(datapath: Datapath) -> list[int]:
    """Return the packets counted, by direction."""
    totals = datapath.counters.read(np.array([SLOT]))
    packets: list[int] = totals["classes"]["packets"].sum(axis=2)[0].tolist()
    return packets


def filters(namespace: Namespace) -> list[str]:
    """Return the names of the BPF filters of `vb`."""
    listed = [
        namespace.run("tc", "filter", "show", "dev", "vb", way) for way in ("ingress", "egress")
    ]
    words = " ".join(listed).split()
    return [word for word in words if word.startswith(("pktexp-", "theirs"))]


def has_qdisc(namespace: Namespace) -> bool:
    return "clsact" in namespace.run("tc", "qdisc", "show", "dev", "vb")


def test_filters_count_both_directions_and_close_removes_them(
    pair: Pair, datapath: Datapath
) -> None:
    a, b = pair
    ifindex = attach(b, datapath)
    a.send("va", [FRAME] * 5)
    b.send("vb", [FRAME] * 3)
    wait_for(lambda: counted(datapath) == [5, 3])
    with b.entered():
        datapath.hooks.detach(ifindex)
    assert filters(b) == []
    assert not has_qdisc(b)
    a.send("va", [FRAME])
    assert counted(datapath) == [5, 3]


def test_another_programs_qdisc_and_filter_stay(pair: Pair, datapath: Datapath) -> None:
    a, b = pair
    b.run("tc", "qdisc", "add", "dev", "vb", "clsact")
    ifindex = attach(b, datapath)
    pass_all = ("u32", "match", "u32", "0", "0", "flowid", "1:1")
    b.run("tc", "filter", "add", "dev", "vb", "ingress", "prio", "7", *pass_all)
    a.send("va", [FRAME] * 2)
    wait_for(lambda: counted(datapath) == [2, 0])
    with b.entered():
        datapath.hooks.detach(ifindex)
    assert has_qdisc(b)
    assert "u32" in b.run("tc", "filter", "show", "dev", "vb", "ingress")


def test_our_qdisc_stays_while_another_program_uses_it(pair: Pair, datapath: Datapath) -> None:
    _, b = pair
    ifindex = attach(b, datapath)
    pass_all = ("u32", "match", "u32", "0", "0", "flowid", "1:1")
    b.run("tc", "filter", "add", "dev", "vb", "egress", "prio", "7", *pass_all)
    with b.entered():
        datapath.hooks.detach(ifindex)
    assert filters(b) == []
    assert "u32" in b.run("tc", "filter", "show", "dev", "vb", "egress")


def test_a_service_logs_clsact_hooks_and_leaves_nothing(pair: Pair, python: str) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", python=python) as service:
        assert service.wait_until_attached("vb") == "clsact-ingress"
        assert attached(b, "vb") == {}
        a.send("va", [FRAME] * 4)
        b.send("vb", [FRAME] * 6)
        page = service.page_when(lambda p: sum(select(p, "pktexp_packets_total").values()) >= 10)
        assert traffic(page, "vb") == {("other", "4"): (4, 4 * len(FRAME))}
        assert traffic(page, "vb", "egress") == {("other", "4"): (6, 6 * len(FRAME))}
        assert "vb: counting at clsact-ingress, clsact-egress" in service.messages()
    assert filters(b) == []
    assert not has_qdisc(b)


def test_filters_of_a_killed_service_are_removed_by_the_next(pair: Pair, python: str) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", python=python, status=-signal.SIGKILL) as killed:
        killed.wait_until_attached("vb")
        killed.stop(signal.SIGKILL)
    left = filters(b)
    assert left == [f"pktexp-{killed.pid}"] * 2
    with serving(b, "--interfaces", "vb", python=python) as service:
        service.wait_until_attached("vb")
        assert filters(b) == [f"pktexp-{service.pid}"] * 2
        a.send("va", [FRAME] * 4)
        page = service.page_when(lambda p: bool(traffic(p, "vb")))
        assert traffic(page, "vb") == {("other", "4"): (4, 4 * len(FRAME))}
    assert filters(b) == []


def test_filters_of_a_running_process_stay(pair: Pair, python: str) -> None:
    a, b = pair
    with (
        serving(b, "--interfaces", "vb", python=python) as first,
        serving(b, "--interfaces", "vb", python=python) as second,
    ):
        for service in (first, second):
            service.wait_until_attached("vb")
        assert len(filters(b)) == 4
        a.send("va", [FRAME] * 3)
        for service in (first, second):
            service.page_when(lambda p: traffic(p, "vb") == {("other", "4"): (3, 3 * len(FRAME))})
