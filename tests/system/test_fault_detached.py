"""Programs that somebody else takes off an interface come back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.kernel.attached import attached
from support.kernel.bpffs import mounted, pinned
from support.kernel.links import detach
from support.netns.namespace import Namespace
from support.service.api import frames
from support.service.oldkernel import without_tcx
from support.service.process import Service, serving, total

FRAMES = frames(30)
IFINDEX = 400_000 + os.getpid()  # which no other interface of the machine has
Pair = tuple[Namespace, Namespace]


@pytest.fixture
def ends(namespaces: Callable[[], Namespace]) -> Pair:
    a, b = namespaces(), namespaces()
    peer = ("type", "veth", "peer", "va", "netns", a.name)
    b.ip("link", "add", "vb", "index", str(IFINDEX), *peer)
    assert b.link("vb")["ifindex"] == IFINDEX  # else links of other tests would be taken off
    for namespace, name in ((a, "va"), (b, "vb")):
        namespace.ip("link", "set", name, "up")
    return a, b


def counted_again(service: Service, a: Namespace, programs: int) -> None:
    service.page_when(lambda page: total(page, "pktexp_interface_reattachments_total") == programs)
    before = total(service.page(), "total_packets", interface="vb")
    a.send("va", FRAMES)
    page = service.page_when(
        lambda page: total(page, "total_packets", interface="vb") == before + len(FRAMES)
    )
    assert total(page, "pktexp_interface_attach_failures_total") == 0
    told = [line for line in service.messages("WARNING") if "somebody detached" in line]
    assert len(told) == programs


def test_detached_xdp_and_tcx_links_are_counted_and_attached_again(ends: Pair) -> None:
    a, b = ends
    with serving(b, "--interfaces", "vb", "--ingress", "xdp") as service:
        assert service.wait_until_attached("vb") == "xdp-native"
        before = attached(b, "vb")
        assert before == {"xdp": 1, "tcx-egress": 1}
        assert detach(b, "vb") == 2
        counted_again(service, a, 2)
        assert attached(b, "vb") == before


def test_detached_pinned_links_are_attached_and_pinned_again(ends: Pair, tmp_path: Path) -> None:
    a, b = ends
    with mounted(tmp_path / "bpf") as bpffs:
        options = ("--interfaces", "vb", "--pin", str(bpffs / "pktexp"))
        with serving(b, *options) as service:
            service.wait_until_attached("vb")
            before, names = attached(b, "vb"), pinned(bpffs)
            assert detach(b, "vb") == 2
            counted_again(service, a, 2)
            assert (attached(b, "vb"), pinned(bpffs)) == (before, names)
        assert attached(b, "vb") == before
        with serving(b, *options) as service:
            service.wait_until_attached("vb")
            assert total(service.page(), "total_packets", interface="vb") == len(FRAMES)
            assert attached(b, "vb") == before


def test_deleted_clsact_filter_is_attached_again(ends: Pair, tmp_path: Path) -> None:
    a, b = ends
    with serving(b, "--interfaces", "vb", python=without_tcx(tmp_path)) as service:
        assert service.wait_until_attached("vb") == "clsact-ingress"
        b.run("tc", "qdisc", "delete", "dev", "vb", "clsact")
        counted_again(service, a, 2)
        assert "pktexp-" in b.run("tc", "filter", "show", "dev", "vb", "ingress")
