"""Attaches the programs to one interface, in each direction that is counted."""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pktexp.bpf.hookchoice import (
    SILENT,
    Hook,
    barrier,
    effect,
    egress_hooks,
    ingress_hooks,
    not_at,
)
from pktexp.bpf.hooks import Hooks, refusal
from pktexp.bpf.ingressrules import IngressMode, IngressRules
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.turns import Turn, Turns
from pktexp.netlink import driver
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.packet.enums import Direction

log = logging.getLogger(__name__)

XDP = (Hook.XDP_NATIVE, Hook.XDP_GENERIC)
WAITS = "ingress waits until the link of another port of the bond is back"
NO_TURN = "the link of another port of the bond has not come back"


@dataclass
class Attachment:
    """An interface that should be counted; `hooks` lacks the directions that failed to attach."""

    link: Link
    hooks: dict[Direction, str]
    lease: Lease | None


@dataclass
class Attached:
    """The outcome of attaching to an interface.

    `hooks`: by direction, where attaching succeeded; `refusals`: the reasons of the other
    directions; `fallbacks`: why a hook is not the preferred one.
    """

    hooks: dict[Direction, str]
    refusals: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The hooks, and the reasons for fallbacks, for a log line."""
        why = f" ({'; '.join(self.fallbacks)})" if self.fallbacks else ""
        return f"{', '.join(self.hooks.values())}{why}"


@dataclass(frozen=True)
class Attacher:
    """Attaches as the operator's options say."""

    hooks: Hooks
    ingress: IngressRules
    directions: Sequence[Direction]
    turns: Turns = field(default_factory=Turns)

    def attach(
        self, link: Link, had: Mapping[Direction, str], silent: Collection[Hook] = ()
    ) -> Attached:
        """Attach in the directions missing from `had`, the hooks that are there already.

        The XDP hooks in `silent` are not tried: they saw no packets of this interface.
        """
        attached = Attached(dict(had))
        for direction in [d for d in self.directions if d not in had]:
            try:
                self._attach(link, direction, attached, silent)
            except OSError as error:
                refused = f"{direction.name.lower()} not counted: {error}"
                attached.refusals.append(refused)
        return attached

    def detach_in_turn(self, attachments: Iterable[Attachment]) -> list[Link]:
        """Detach forced XDP from the ports of bonds in turn; pinned programs stay.

        Returns the ports that are still attached after a while.
        """
        hooks = {a.link: a.hooks.get(Direction.INGRESS) for a in attachments}
        xdp = [link for link, hook in hooks.items() if hook in XDP and self._forced(link)]
        return [] if self.hooks.pinned else self.turns.detach(xdp, self.hooks.detach)

    def _attach(
        self, link: Link, direction: Direction, attached: Attached, silent: Collection[Hook]
    ) -> None:
        """Try the hooks of a direction in order; raise the OSError of the last if none works."""
        name = self._driver(link)
        order = self._order(link, direction, name)
        barred = {h: why for h in order if (why := SILENT if h in silent else barrier(h, link))}
        turn = self._turn(link, [hook for hook in order if hook not in barred])
        if turn is Turn.LATER:
            attached.fallbacks.append(WAITS)
            return
        if turn is Turn.NEVER:
            barred |= {hook: NO_TURN for hook in order if hook.xdp}
        hooks = [hook for hook in order if hook not in barred]
        reasons = [not_at(hook, why) for hook, why in barred.items()]
        for hook in hooks:
            _warn(hook, link, name)
            try:
                self.hooks.attach(link.ifindex, direction, hook)
                if hook.xdp:
                    self.turns.restarts(link)
                break
            except OSError as error:
                if hook is hooks[-1] or error.errno == errno.ENODEV:
                    raise
                reasons.append(not_at(hook, refusal(error, hook)))
        attached.hooks[direction] = hook
        attached.fallbacks += reasons

    def _order(self, link: Link, direction: Direction, name: str) -> Sequence[Hook]:
        if direction is Direction.INGRESS:
            return ingress_hooks(self.ingress.of(link.name).mode, link, name, self.hooks.tcx)
        return egress_hooks(self.hooks.tcx)

    def _turn(self, link: Link, order: Sequence[Hook]) -> Turn:
        """Return when to attach. A pinned program is replaced at once, or its link would end."""
        if not order[0].xdp or not self._forced(link):
            return Turn.NOW
        inherited = any(self.hooks.inherits(link.ifindex, hook) for hook in order)
        return Turn.NOW if inherited else self.turns.turn(link)

    def _forced(self, link: Link) -> bool:
        """Return whether the operator chose the hook, whatever it does to the link."""
        return self.ingress.of(link.name).mode is not IngressMode.AUTO

    def _driver(self, link: Link) -> str:
        """Return the name of the driver where a choice depends on it, else ""."""
        physical = link.interface_class is InterfaceClass.PHYSICAL
        return driver.name(link.name) if physical else ""


def _warn(hook: Hook, link: Link, name: str) -> None:
    """Log what a hook is about to do to an interface's link."""
    physical = link.interface_class is InterfaceClass.PHYSICAL
    strips = physical and hook.xdp and driver.strips_vlan_tags(link.name)
    if happens := effect(hook, link, name, strips):
        log.warning("%s: attaching at %s: %s", link.name, hook, happens)
