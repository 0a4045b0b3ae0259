"""The order in which hooks are tried on an interface, and what is logged before XDP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.ingressrules import IngressMode, IngressRule, IngressRules
from pktexp.interfaces.attacher import Attacher
from pktexp.netlink import driver
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction

Log = pytest.LogCaptureFixture
Make = Callable[..., list[str]]
REFUSED = OSError(95, "Operation not supported")
IGB = (
    "x: attaching at xdp-native: igb restarts the link when an XDP program is attached or detached:"
)


class FakeHooks:
    """Hooks that note every attempt in the log, and refuse the ones of `refused`."""

    tcx = True

    def __init__(self, refused: tuple[Hook, ...]) -> None:
        self.refused = refused

    def inherits(self, _: int, __: Hook) -> bool:
        return False

    def attach(self, _: int, __: Direction, hook: Hook) -> None:
        logging.getLogger("hooks").info("attach %s", hook)
        if hook in self.refused:
            raise REFUSED


@pytest.fixture
def attach(monkeypatch: pytest.MonkeyPatch, caplog: Log) -> Make:
    """Return a function that attaches at ingress, and returns the log."""
    caplog.set_level(logging.INFO)

    def attach_to(
        mode: IngressMode,
        name: str = "igb",
        refused: tuple[Hook, ...] = (),
        silent: tuple[Hook, ...] = (),
        **told: Any,
    ) -> list[str]:
        monkeypatch.setattr(driver, "name", lambda _: name)
        link = Link(ifindex=7, name="x", hardware_type=1, up=True, mtu=1500, **told)
        hooks: Any = FakeHooks(refused)
        rules = IngressRules([IngressRule(mode)])
        found = Attacher(hooks, rules, (Direction.INGRESS,)).attach(link, {}, silent)
        return [*caplog.messages, found.text]

    return attach_to


def test_hardware_is_attached_at_tcx_without_a_warning(attach: Make) -> None:
    assert attach(IngressMode.AUTO, bus="pci") == ["attach tcx-ingress", "tcx-ingress"]


def test_driver_that_leaves_the_link_alone_is_attached_at_native_xdp(attach: Make) -> None:
    assert attach(IngressMode.AUTO, "sfc", bus="pci") == ["attach xdp-native", "xdp-native"]


def test_forced_xdp_is_logged_with_its_effect_before_it_is_attached(
    attach: Make, caplog: Log
) -> None:
    warning, *then = attach(IngressMode.XDP, bus="pci")
    assert warning.startswith(IGB)
    assert then == ["attach xdp-native", "xdp-native"]
    assert caplog.records[0].levelname == "WARNING"


def test_forced_xdp_that_is_refused_warns_of_generic_xdp_too(attach: Make) -> None:
    _, _, warning, *then = attach(IngressMode.XDP, refused=(Hook.XDP_NATIVE,), bus="pci")
    assert warning.startswith("x: attaching at xdp-generic: generic XDP turns LRO")
    why = "not at xdp-native: [Errno 95] Operation not supported"
    assert then == ["attach xdp-generic", f"xdp-generic ({why})"]


def test_forced_xdp_that_misses_vlan_tags_is_logged(
    attach: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "strips_vlan_tags", lambda _: True)
    for mode in (IngressMode.XDP_NATIVE, IngressMode.XDP_GENERIC):
        warning, *_ = attach(mode, bus="pci")
        assert warning.endswith(
            "; XDP does not see the VLAN tags that the device strips, 4 bytes a tagged frame"
        )
    assert attach(IngressMode.AUTO, bus="pci")[-1] == "tcx-ingress"


def test_bond_is_never_attached_at_native_xdp(attach: Make) -> None:
    why = "not at xdp-native: a bond hands the program to its ports"
    found = attach(IngressMode.XDP_NATIVE, kind="bond")
    assert found == ["attach tcx-ingress", f"tcx-ingress ({why})"]


def test_silent_hook_is_not_tried_again(attach: Make) -> None:
    found = attach(IngressMode.XDP_NATIVE, kind="veth", silent=(Hook.XDP_NATIVE,))
    assert found == ["attach tcx-ingress", "tcx-ingress (not at xdp-native: it saw no packets)"]


def test_refusal_of_the_hook_before_a_silent_one_leaves_no_hook(attach: Make) -> None:
    refused, silent = (Hook.TCX_INGRESS,), (Hook.XDP_GENERIC,)
    found = attach(IngressMode.AUTO, refused=refused, silent=silent, kind="veth")
    assert found == ["attach tcx-ingress", ""]


def test_driver_of_a_virtual_device_is_not_read(
    attach: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> str:
        raise AssertionError("thousands of veths would each cost a system call")

    monkeypatch.setattr("pktexp.interfaces.attacher.driver", type("Driver", (), {"name": fail}))
    assert attach(IngressMode.XDP_NATIVE, kind="veth") == ["attach xdp-native", "xdp-native"]
