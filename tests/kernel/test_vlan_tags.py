"""VLAN tags that are stored beside the frame: their bytes count, as those in the frame do.

The veth pair is the card. Its switch `txvlan` decides whether a tag crosses it beside the frame, or
in the frame, where the kernel's statistics count it.
"""

from __future__ import annotations

from typing import Any

import pytest

from pktexp.netlink import driver
from support.kernel.features import needs_tcx
from support.kernel.vlan import TAG_BYTES, tagging
from support.netns.namespace import Namespace
from support.netns.traffic import addressed, transfer
from support.packets.cases import ETHER, V4, V6
from support.patience import wait_for
from support.service.oldkernel import without_tcx
from support.service.process import Page, Service, serving, total

Pair = tuple[Namespace, Namespace]
Sums = tuple[int, int]
FRAMES = [bytes(ETHER / V4), bytes(ETHER / V6), bytes(ETHER / V4) + bytes(1400)] * 5
pytestmark = needs_tcx  # of the program that adds the tags


def offload(namespace: Namespace, interface: str, **switches: bool) -> None:
    words = [w for name, on in switches.items() for w in (name, "on" if on else "off")]
    namespace.run("ethtool", "-K", interface, *words)


def counted(page: Page, interface: str, direction: str, **labels: str) -> Sums:
    where: dict[str, Any] = {"interface": interface, "direction": direction, **labels}
    return (
        total(page, "pktexp_packets_total", **where),
        total(page, "pktexp_bytes_total", **where),
    )


def since(now: Sums, before: Sums) -> Sums:
    return now[0] - before[0], now[1] - before[1]


def when(service: Service, interface: str, direction: str, packets: int) -> Sums:
    """Return packets and bytes once so many packets are counted."""
    page = service.page_when(lambda page: counted(page, interface, direction)[0] >= packets)
    return counted(page, interface, direction)


@pytest.mark.parametrize("tags", [1, 2])
@pytest.mark.parametrize("beside", [True, False], ids=["beside the frame", "in the frame"])
@pytest.mark.parametrize("hook", ["tcx", "clsact"])
def test_tags_count_at_both_ends_with_their_bytes(
    pair: Pair, tmp_path: Any, tags: int, beside: bool, hook: str
) -> None:
    a, b = pair
    offload(a, "va", txvlan=beside, **{"tx-vlan-stag-hw-insert": beside})
    options: Any = {"python": without_tcx(tmp_path)} if hook == "clsact" else {}
    with serving(a, **options) as near, serving(b, **options) as far, tagging(a, "va", tags):
        for service, name in ((near, "va"), (far, "vb")):
            assert service.wait_until_attached(name) == f"{hook}-ingress"
        before = b.statistics("vb")
        a.send("va", FRAMES)
        sent, received = when(near, "va", "egress", 15), when(far, "vb", "ingress", 15)
        wire = since(b.statistics("vb"), before)
        by_version = {v: counted(far.page(), "vb", "ingress", ip_version=v)[0] for v in "46"}
    missing = len(FRAMES) * TAG_BYTES if beside else 0  # in the kernel's statistic
    assert sent == received == (wire[0], wire[1] + missing)
    assert sent[1] == sum(map(len, FRAMES)) + tags * TAG_BYTES * len(FRAMES)
    assert by_version == {"4": 10, "6": 5}  # parsed behind the tags


def test_every_segment_of_a_large_buffer_has_the_tag(pair: Pair) -> None:
    """The kernel splits the buffers behind the hook, and counts each segment with its tag."""
    a, b = pair
    offload(a, "va", tso=False, txvlan=False)
    with addressed(a, b) as (one, other), serving(a) as near, serving(b) as far:
        near.wait_until_attached("va")
        far.wait_until_attached("vb")
        before = b.statistics("vb")

        def agree() -> bool:
            sent = counted(near.page(), "va", "egress")
            received = counted(far.page(), "vb", "ingress")
            return sent == received == since(b.statistics("vb"), before)

        with tagging(a, "va", 1):
            transfer(one.namespace, other.namespace)
            wait_for(agree)
        packets, bytes_ = counted(far.page(), "vb", "ingress")
        assert packets > 400  # segments of 9,000 bytes
        assert bytes_ > 4_000_000


@pytest.mark.parametrize("mode", ["xdp-native", "xdp-generic"])
def test_xdp_misses_four_bytes_of_a_tag_that_the_device_strips(pair: Pair, mode: str) -> None:
    a, b = pair
    with b.entered():
        assert driver.strips_vlan_tags("vb")
    with serving(b, "--ingress", mode) as service, tagging(a, "va", 1):
        assert service.wait_until_attached("vb") == mode
        a.send("va", FRAMES)
        assert when(service, "vb", "ingress", 15) == (15, sum(map(len, FRAMES)))
