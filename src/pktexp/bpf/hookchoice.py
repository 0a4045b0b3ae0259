"""Hooks for counting packets, and the order in which they are tried on an interface."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pktexp.bpf import xdpdrivers
from pktexp.bpf.ingressrules import IngressMode, IngressRule
from pktexp.netlink.linkinfo import InterfaceClass, Link


class Hook(StrEnum):
    """A place in the kernel where an interface's packets are counted."""

    XDP_NATIVE = "xdp-native"
    XDP_GENERIC = "xdp-generic"
    TCX_INGRESS = "tcx-ingress"
    TCX_EGRESS = "tcx-egress"
    CLSACT_INGRESS = "clsact-ingress"
    CLSACT_EGRESS = "clsact-egress"

    @property
    def xdp(self) -> bool:
        """Whether the hook sees frames instead of socket buffers."""
        return self in (Hook.XDP_NATIVE, Hook.XDP_GENERIC)


XDP_HOOKS = {
    IngressMode.XDP: (Hook.XDP_NATIVE, Hook.XDP_GENERIC),
    IngressMode.XDP_NATIVE: (Hook.XDP_NATIVE,),
    IngressMode.XDP_GENERIC: (Hook.XDP_GENERIC,),
    IngressMode.TCX: (),
}
OTHER_XDP = "another XDP program is attached"
STRIPPED = "XDP does not see the VLAN tags that the device strips, 4 bytes a tagged frame"
SILENT = "it saw no packets"
GENERIC_EFFECT = "generic XDP turns LRO and hardware GRO off, for which some cards restart"
# Kinds without hardware and without lower devices: generic XDP costs them throughput at most.
# Elsewhere it turns LRO off, at lower devices too (dev_disable_lro in net/core/dev.c, 6.12), and a
# card may restart for it.
ALONE = ("loopback", "veth", "dummy", "tun")


def ingress_hooks(mode: IngressMode, link: Link, driver: str, tcx: bool) -> Sequence[Hook]:
    """Return the ingress hooks to try on an interface, best first; `tcx`: the kernel has TCX.

    Unless the operator forces XDP, no hook touches the link: native XDP is used only with drivers
    that are known to be harmless, and generic XDP only where no hardware is involved.
    """
    skb_hook = Hook.TCX_INGRESS if tcx else Hook.CLSACT_INGRESS
    if mode is not IngressMode.AUTO:
        return (*XDP_HOOKS[mode], skb_hook)
    first = (Hook.XDP_NATIVE,) if driver in xdpdrivers.QUIET else ()
    return (*first, skb_hook, *((Hook.XDP_GENERIC,) if link.kind in ALONE else ()))


def egress_hooks(tcx: bool) -> Sequence[Hook]:
    """Return the egress hooks to try on an interface; `tcx`: the kernel has TCX."""
    return (Hook.TCX_EGRESS if tcx else Hook.CLSACT_EGRESS,)


def barrier(hook: Hook, link: Link) -> str:
    """Return why a hook is not tried on an interface; "" if it is.

    A bond hands its program to all ports at one time, where it counts for the ports
    (bond_xdp_set in drivers/net/bonding/bond_main.c, 5.15).
    """
    is_bond = hook is Hook.XDP_NATIVE and link.kind == "bond"
    return "a bond hands the program to its ports" if is_bond else ""


def effect(hook: Hook, link: Link, driver: str, strips: bool = False) -> str:
    """Return what a hook does to an interface's link and misses, in words; "" if nothing is known.

    `strips`: whether the device has rx-vlan-offload. Drivers in QUIET strip a tag after XDP.
    """
    misses = hook.xdp and strips and driver not in xdpdrivers.QUIET
    told = [_effect(hook, link, driver), STRIPPED if misses else ""]
    return "; ".join(filter(None, told))


def _effect(hook: Hook, link: Link, driver: str) -> str:
    physical = link.interface_class is InterfaceClass.PHYSICAL
    if hook is Hook.XDP_NATIVE:
        return xdpdrivers.effect(driver, physical)
    return GENERIC_EFFECT if hook is Hook.XDP_GENERIC and physical else ""


def preference(rule: IngressRule, link: Link, driver: str, native_xdp: bool | None) -> str:
    """Return why the first of ingress_hooks is the best, in words for the operator.

    `native_xdp`: whether the driver reports native XDP; None if the kernel does not report it.
    """
    if rule.mode is not IngressMode.AUTO:
        return f"chosen by --ingress {rule.text}"
    if driver in xdpdrivers.QUIET:
        return f"{driver} takes XDP programs without touching the link"
    if link.interface_class is InterfaceClass.LOOPBACK:
        return "loopback: XDP would copy large segments"
    if link.interface_class is InterfaceClass.VIRTUAL:
        return "virtual device: native XDP would cost its peer segmentation offload"
    if native_xdp is False:
        return "leaves the link alone"
    return f"leaves the link alone; with native XDP, {effect(Hook.XDP_NATIVE, link, driver)}"


def not_at(hook: Hook, why: str) -> str:
    """Return the words in which a log line says why a hook is not used."""
    return f"not at {hook}: {why}"
