"""Predicted hooks and their reasons."""

from __future__ import annotations

from typing import Any

import pytest

from pktexp.bpf.hookchoice import Hook, IngressMode
from pktexp.commands.check import forecast
from pktexp.netlink.linkinfo import Link

ETHERNET = 1


def predicted(
    mode: IngressMode = IngressMode.AUTO,
    tcx: bool = True,
    native_xdp: bool | None = True,
    **told: Any,
) -> tuple[Hook, str]:
    link = Link(ifindex=7, name="x", hardware_type=ETHERNET, up=True, mtu=1500, **told)
    return forecast.ingress(mode, link, tcx, native_xdp)


def test_hardware_uses_native_xdp_unless_its_driver_refuses() -> None:
    why = "hardware device; at tcx-ingress if its driver refuses"
    assert predicted(bus="pci") == (Hook.XDP_NATIVE, why)


def test_native_xdp_is_predicted_if_the_kernel_reports_nothing() -> None:
    assert predicted(bus="pci", native_xdp=None)[0] is Hook.XDP_NATIVE


def test_hardware_without_native_xdp_uses_tcx() -> None:
    hook, why = predicted(bus="pci", native_xdp=False)
    assert hook is Hook.TCX_INGRESS
    assert why.endswith("not at xdp-native: its driver does not report native XDP")


@pytest.mark.parametrize("mode", [IngressMode.AUTO, IngressMode.XDP, IngressMode.XDP_GENERIC])
def test_another_xdp_program_makes_ingress_use_tcx(mode: IngressMode) -> None:
    hook, why = predicted(mode, bus="pci", xdp=True)
    assert hook is Hook.TCX_INGRESS
    assert "another XDP program is attached" in why


def test_clsact_is_predicted_without_tcx() -> None:
    assert predicted(tcx=False)[0] is Hook.CLSACT_INGRESS
    assert forecast.egress(tcx=False) is Hook.CLSACT_EGRESS


def test_a_forced_hook_names_the_option_as_its_reason() -> None:
    assert predicted(IngressMode.TCX, bus="pci") == (Hook.TCX_INGRESS, "chosen by --ingress tcx")
