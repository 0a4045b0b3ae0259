"""Hooks for counting packets, and the order in which they are tried on an interface."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

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


class IngressMode(StrEnum):
    """The operator's choice of the ingress hook (--ingress)."""

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
OTHER_XDP = "another XDP program is attached"


def ingress_hooks(mode: IngressMode, link: Link, tcx: bool) -> Sequence[Hook]:
    """Return the ingress hooks to try on an interface, best first; `tcx`: the kernel has TCX.

    Native XDP is best where hardware fills the buffers. On a virtual device it costs the device's
    peer its segmentation offload, and generic XDP copies every large segment: they are tried last,
    or not at all.
    """
    skb_hook = Hook.TCX_INGRESS if tcx else Hook.CLSACT_INGRESS
    if mode is not IngressMode.AUTO:
        return (*XDP_HOOKS[mode], skb_hook)
    if link.interface_class is InterfaceClass.PHYSICAL:
        return (Hook.XDP_NATIVE, skb_hook, Hook.XDP_GENERIC)
    return (skb_hook, Hook.XDP_GENERIC)


def egress_hooks(tcx: bool) -> Sequence[Hook]:
    """Return the egress hooks to try on an interface; `tcx`: the kernel has TCX."""
    return (Hook.TCX_EGRESS if tcx else Hook.CLSACT_EGRESS,)


def preference(mode: IngressMode, link: Link) -> str:
    """Return why the first of ingress_hooks is the best, in words for the operator."""
    if mode is not IngressMode.AUTO:
        return f"chosen by --ingress {mode}"
    if link.interface_class is InterfaceClass.PHYSICAL:
        return "hardware device"
    if link.interface_class is InterfaceClass.LOOPBACK:
        return "loopback: XDP would copy large segments"
    return "virtual device: native XDP would cost its peer segmentation offload"


def not_at(hook: Hook, why: str) -> str:
    """Return the words in which a log line says why a hook is not used."""
    return f"not at {hook}: {why}"
