"""Which hooks there are, and which an interface is to have: for hooks.py and forecast.py."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pktexp.netlink.linkinfo import InterfaceClass, Link


class Hook(StrEnum):
    """Where an interface's packets can be counted."""

    XDP_NATIVE = "xdp-native"
    XDP_GENERIC = "xdp-generic"
    TCX_INGRESS = "tcx-ingress"
    TCX_EGRESS = "tcx-egress"
    CLSACT_INGRESS = "clsact-ingress"
    CLSACT_EGRESS = "clsact-egress"

    @property
    def xdp(self) -> bool:
        """Whether it sees frames, not socket buffers."""
        return self in (Hook.XDP_NATIVE, Hook.XDP_GENERIC)


class IngressMode(StrEnum):
    """What the operator wants of ingress."""

    AUTO = "auto"
    XDP = "xdp"
    XDP_NATIVE = "xdp-native"
    XDP_GENERIC = "xdp-generic"
    TCX = "tcx"


XDP_HOOKS = {
    IngressMode.XDP: (Hook.XDP_NATIVE, Hook.XDP_GENERIC),
    IngressMode.XDP_NATIVE: (Hook.XDP_NATIVE,),
    IngressMode.XDP_GENERIC: (Hook.XDP_GENERIC,),
    IngressMode.TCX: (),
}
OTHER_XDP = "another XDP program is there"


def ingress_hooks(mode: IngressMode, link: Link, tcx: bool) -> Sequence[Hook]:
    """The hooks to try on an interface, best first; `tcx`: whether the kernel has it.

    Native XDP is best where hardware fills the buffers. On a virtual device it costs the device's
    peer its segmentation offload, and generic XDP copies every large segment: both come last there.
    """
    skb_hook = Hook.TCX_INGRESS if tcx else Hook.CLSACT_INGRESS
    if mode is not IngressMode.AUTO:
        return (*XDP_HOOKS[mode], skb_hook)
    if link.interface_class is InterfaceClass.PHYSICAL:
        return (Hook.XDP_NATIVE, skb_hook, Hook.XDP_GENERIC)
    return (skb_hook, Hook.XDP_GENERIC)


def egress_hooks(tcx: bool) -> Sequence[Hook]:
    """As ingress_hooks."""
    return (Hook.TCX_EGRESS if tcx else Hook.CLSACT_EGRESS,)


def preference(mode: IngressMode, link: Link) -> str:
    """Why the first of ingress_hooks comes first."""
    if mode is not IngressMode.AUTO:
        return f"as --ingress {mode} says"
    if link.interface_class is InterfaceClass.PHYSICAL:
        return "hardware behind it"
    if link.interface_class is InterfaceClass.LOOPBACK:
        return "loopback: XDP would copy large segments"
    return "virtual device: native XDP would cost its peer segmentation offload"


def not_at(hook: Hook, why: str) -> str:
    """Why a hook is not used, as it is logged."""
    return f"not at {hook}: {why}"
