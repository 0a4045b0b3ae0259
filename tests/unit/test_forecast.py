"""Which hooks are foreseen where, and the reasons given."""

from __future__ import annotations

from typing import Any

import pytest

from pktexp.bpf.hookchoice import Hook, IngressMode
from pktexp.commands.check import forecast
from pktexp.netlink.linkinfo import Link

ETHERNET = 1


def foreseen(
    mode: IngressMode = IngressMode.AUTO,
    tcx: bool = True,
    native_xdp: bool | None = True,
    **told: Any,
) -> tuple[Hook, str]:
    link = Link(ifindex=7, name="x", hardware_type=ETHERNET, up=True, mtu=1500, **told)
    return forecast.ingress(mode, link, tcx, native_xdp)


def test_hardware_is_counted_at_native_xdp_unless_its_driver_refuses() -> None:
    why = "hardware behind it; at tcx-ingress if its driver refuses"
    assert foreseen(bus="pci") == (Hook.XDP_NATIVE, why)


def test_a_kernel_that_does_not_tell_what_drivers_run_is_no_obstacle() -> None:
    assert foreseen(bus="pci", native_xdp=None)[0] is Hook.XDP_NATIVE


def test_hardware_whose_driver_runs_no_xdp_is_counted_at_tcx() -> None:
    hook, why = foreseen(bus="pci", native_xdp=False)
    assert hook is Hook.TCX_INGRESS
    assert why.endswith("not at xdp-native: its driver does not say that it runs XDP")


@pytest.mark.parametrize("mode", [IngressMode.AUTO, IngressMode.XDP, IngressMode.XDP_GENERIC])
def test_another_xdp_program_leaves_tcx(mode: IngressMode) -> None:
    hook, why = foreseen(mode, bus="pci", xdp=True)
    assert hook is Hook.TCX_INGRESS
    assert "another XDP program is there" in why


def test_where_there_is_no_tcx_filters_of_clsact_are_foreseen() -> None:
    assert foreseen(tcx=False)[0] is Hook.CLSACT_INGRESS
    assert forecast.egress(tcx=False) is Hook.CLSACT_EGRESS


def test_a_forced_hook_is_explained_by_the_option() -> None:
    assert foreseen(IngressMode.TCX, bus="pci") == (Hook.TCX_INGRESS, "as --ingress tcx says")
