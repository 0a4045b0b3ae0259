"""Predicted hooks and their reasons."""

from __future__ import annotations

from typing import Any

import pytest

from pktexp.bpf.hookchoice import Hook, ingress_hooks
from pktexp.bpf.ingressrules import IngressMode, IngressRule
from pktexp.bpf.xdpdrivers import EFFECTS, QUIET, effect
from pktexp.commands.check import forecast
from pktexp.netlink.linkinfo import Link

ETHERNET = 1


def predicted(
    mode: IngressMode = IngressMode.AUTO,
    tcx: bool = True,
    native_xdp: bool | None = True,
    driver: str = "",
    strips: bool = False,
    **told: Any,
) -> tuple[Hook, str]:
    link = Link(ifindex=7, name="x", hardware_type=ETHERNET, up=True, mtu=1500, **told)
    return forecast.ingress(IngressRule(mode), link, driver, tcx, native_xdp, strips)


@pytest.mark.parametrize(
    ("driver", "what"),
    [
        (
            "igb",
            "leaves the link alone; with native XDP, igb restarts the link when an XDP program",
        ),
        ("new", "leaves the link alone; with native XDP, new may restart the link"),
        ("", "leaves the link alone; with native XDP, its driver may restart the link"),
    ],
)
def test_hardware_uses_tcx_and_the_reason_names_what_xdp_would_do(driver: str, what: str) -> None:
    hook, why = predicted(bus="pci", driver=driver)
    assert hook is Hook.TCX_INGRESS
    assert why.startswith(what)


def test_hardware_without_native_xdp_names_no_effect_of_it() -> None:
    assert predicted(bus="pci", driver="e1000e", native_xdp=False)[1] == "leaves the link alone"


@pytest.mark.parametrize("driver", QUIET)
def test_drivers_that_leave_the_link_alone_use_native_xdp(driver: str) -> None:
    why = f"{driver} takes XDP programs without touching the link"
    hook, text = predicted(bus="pci", driver=driver)
    assert (hook, text) == (Hook.XDP_NATIVE, f"{why}; at tcx-ingress if its driver refuses")
    hook, text = predicted(bus="pci", driver=driver, native_xdp=False)
    not_there = "not at xdp-native: its driver does not report native XDP"
    assert (hook, text) == (Hook.TCX_INGRESS, f"{why}; {not_there}")


@pytest.mark.parametrize("native_xdp", [True, None])
@pytest.mark.parametrize("mode", [IngressMode.XDP, IngressMode.XDP_NATIVE])
def test_forced_native_xdp_names_what_it_does_to_the_link(
    mode: IngressMode, native_xdp: bool | None
) -> None:
    hook, why = predicted(mode, bus="pci", driver="igb", native_xdp=native_xdp)
    assert hook is Hook.XDP_NATIVE
    assert why.startswith(f"chosen by --ingress {mode}; igb restarts the link when")
    assert "about 3 s without traffic" in why


def test_forced_generic_xdp_of_hardware_names_what_it_does_to_the_link() -> None:
    hook, why = predicted(IngressMode.XDP_GENERIC, bus="pci", driver="igb")
    assert hook is Hook.XDP_GENERIC
    assert why == (
        "chosen by --ingress xdp-generic; "
        "generic XDP turns LRO and hardware GRO off, for which some cards restart"
    )


@pytest.mark.parametrize(
    ("driver", "mode", "missed"),
    [
        ("igb", IngressMode.XDP_NATIVE, True),
        ("igb", IngressMode.XDP_GENERIC, True),
        ("igb", IngressMode.TCX, False),
        ("cpsw", IngressMode.XDP_NATIVE, False),  # its tag is still there when XDP runs
    ],
)
def test_xdp_misses_the_tags_that_the_device_strips(
    driver: str, mode: IngressMode, missed: bool
) -> None:
    _, why = predicted(mode, bus="pci", driver=driver, strips=True)
    assert ("4 bytes a tagged frame" in why) is missed
    _, why = predicted(mode, bus="pci", driver=driver)
    assert "tagged" not in why


def test_forced_xdp_of_a_bond_is_generic() -> None:
    hook, why = predicted(IngressMode.XDP, kind="bond", driver="bonding")
    assert hook is Hook.XDP_GENERIC
    assert why.endswith("not at xdp-native: a bond hands the program to its ports")


@pytest.mark.parametrize(
    ("kind", "bus", "generic"),
    [
        ("veth", "", True),
        ("loopback", "", True),
        ("", "pci", False),
        ("vlan", "", False),  # turns LRO off at the card below
        ("bond", "", False),
    ],
)
def test_auto_ends_at_generic_xdp_only_where_no_hardware_is_involved(
    kind: str, bus: str, generic: bool
) -> None:
    link = Link(7, "x", ETHERNET, up=True, mtu=1500, kind=kind, bus=bus)
    for driver in ("", "igb", *QUIET):
        hooks = ingress_hooks(IngressMode.AUTO, link, driver, tcx=True)
        assert (Hook.XDP_GENERIC in hooks) is generic


def test_no_driver_is_in_both_tables() -> None:
    assert not QUIET.keys() & EFFECTS.keys()
    assert all(not effect(driver, physical=True) for driver in QUIET)
    assert all(effect(driver, physical=True).startswith(f"{driver} ") for driver in EFFECTS)


@pytest.mark.parametrize("mode", [IngressMode.AUTO, IngressMode.XDP, IngressMode.XDP_GENERIC])
def test_another_xdp_program_makes_ingress_use_tcx(mode: IngressMode) -> None:
    hook, why = predicted(mode, bus="pci", driver="sfc", xdp=True)
    assert hook is Hook.TCX_INGRESS
    assert "another XDP program is attached" in why


def test_clsact_is_predicted_without_tcx() -> None:
    assert predicted(tcx=False)[0] is Hook.CLSACT_INGRESS
    assert forecast.egress(tcx=False) is Hook.CLSACT_EGRESS


def test_a_forced_hook_names_the_option_as_its_reason() -> None:
    assert predicted(IngressMode.TCX, bus="pci") == (Hook.TCX_INGRESS, "chosen by --ingress tcx")
