"""Predict the hooks of an interface, and the reason, without attaching a program.

The order of the hooks is that of bpf/hookchoice.py, which attaching uses too. A driver may still
refuse native XDP when a program is attached; the reason then names the next hook.
"""

from __future__ import annotations

from pktexp.bpf.hookchoice import (
    OTHER_XDP,
    Hook,
    barrier,
    effect,
    egress_hooks,
    ingress_hooks,
    not_at,
    preference,
)
from pktexp.bpf.ingressrules import IngressRule
from pktexp.netlink.linkinfo import Link

NOT_SUPPORTED = "its driver does not report native XDP"


def ingress(
    rule: IngressRule,
    link: Link,
    driver: str,
    tcx: bool,
    native_xdp: bool | None,
    strips: bool = False,
) -> tuple[Hook, str]:
    """Return the ingress hook, and the reason for it with what it does to the link.

    `native_xdp` is whether the driver reports native XDP; None if the kernel does not report it.
    `strips`: whether the device has rx-vlan-offload.
    """
    hooks = list(ingress_hooks(rule.mode, link, driver, tcx))
    reasons = [preference(rule, link, driver, native_xdp)]
    while obstacle := barrier(hooks[0], link) or _obstacle(hooks[0], link, native_xdp):
        reasons.append(not_at(hooks.pop(0), obstacle))
    if happens := effect(hooks[0], link, driver, strips):
        reasons.append(happens)
    if hooks[0] is Hook.XDP_NATIVE:
        reasons.append(f"at {hooks[1]} if its driver refuses")
    return hooks[0], "; ".join(reasons)


def egress(tcx: bool) -> Hook:
    """Return the egress hook."""
    return egress_hooks(tcx)[0]


def _obstacle(hook: Hook, link: Link, native_xdp: bool | None) -> str:
    """Return what prevents XDP there; "" if nothing known does, as for all other hooks."""
    if hook.xdp and link.xdp:
        return OTHER_XDP
    return NOT_SUPPORTED if hook is Hook.XDP_NATIVE and native_xdp is False else ""
