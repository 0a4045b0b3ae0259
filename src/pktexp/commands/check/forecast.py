"""Which hooks would be had, and why, without attaching anything; for check.py.

hookchoice.py says in which order they are tried, here as there. What only a driver knows, and
tells when a program is attached, is not foreseen: the reason then names the hook that comes next.
"""

from __future__ import annotations

from pktexp.bpf.hookchoice import (
    OTHER_XDP,
    Hook,
    IngressMode,
    egress_hooks,
    ingress_hooks,
    not_at,
    preference,
)
from pktexp.netlink.linkinfo import Link

NOT_SUPPORTED = "its driver does not say that it runs XDP"


def ingress(mode: IngressMode, link: Link, tcx: bool, native_xdp: bool | None) -> tuple[Hook, str]:
    """The hook that would be had, and why this one.

    `native_xdp`: whether the driver says that it runs XDP; None if the kernel does not tell.
    """
    hooks, reasons = list(ingress_hooks(mode, link, tcx)), [preference(mode, link)]
    while obstacle := _obstacle(hooks[0], link, native_xdp):
        reasons.append(not_at(hooks.pop(0), obstacle))
    if hooks[0] is Hook.XDP_NATIVE:
        reasons.append(f"at {hooks[1]} if its driver refuses")
    return hooks[0], "; ".join(reasons)


def egress(tcx: bool) -> Hook:
    """As `ingress`."""
    return egress_hooks(tcx)[0]


def _obstacle(hook: Hook, link: Link, native_xdp: bool | None) -> str:
    """What is known to be in the way of XDP; nothing is in the way of the other hooks."""
    if hook.xdp and link.xdp:
        return OTHER_XDP
    return NOT_SUPPORTED if hook is Hook.XDP_NATIVE and native_xdp is False else ""
