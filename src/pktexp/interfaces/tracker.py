"""Keeps the programs attached to the wanted interfaces, and each name's counters with the name.

Brings together netlink's view of the interfaces, the programs, and the counters, whose slots are
leased to interface names.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np

from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.ingressrules import IngressRules
from pktexp.bpf.libbpf import BpfError
from pktexp.failures import FailureCounter
from pktexp.interfaces.attacher import Attached, Attacher, Attachment
from pktexp.interfaces.leases import Leases
from pktexp.interfaces.namefilter import NameFilter
from pktexp.interfaces.silenthooks import Silent, SilentHooks
from pktexp.interfaces.totals import NO_HOOK, Snapshot
from pktexp.interfaces.turns import SETTLE
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.netlink.links import LinkMonitor
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64
from pktexp.tasks import to_its_end
from pktexp.wakeup import Wakeup

log = logging.getLogger(__name__)

WATCH = 10.0  # seconds between checks for expired leases and lost attachments


class Interfaces:
    """Follows the wanted interfaces and stays attached to them; failure counters only grow.

    `classes`: index in InterfaceClass of the latest interface of each slot.
    `inherited`: ids of leases that an earlier process made; their counters continue.
    """

    def __init__(
        self,
        datapath: Datapath,
        monitor: LinkMonitor,
        wanted: NameFilter,
        ingress: IngressRules | None = None,
        directions: Sequence[Direction] = tuple(Direction),
    ) -> None:
        self._hooks = datapath.hooks
        self._monitor = monitor
        self._wanted = wanted
        self._directions = directions
        self._attacher = Attacher(datapath.hooks, ingress or IngressRules(), directions)
        self._table = InterfaceTable(datapath.interfaces)
        self._ifbs = datapath.ifbs
        self._counters = datapath.counters
        self._leases = Leases(self._counters, datapath.leases)
        self.inherited = {lease.id for lease in self._leases.by_name.values()}
        self.classes = np.zeros(datapath.options.slots, np.uint8)
        self._attached: dict[int, Attachment] = {}
        self._active: set[int] = set()
        self._lock = threading.Lock()
        self.attach_failures = 0
        self.failures = FailureCounter(log)
        self.reattachments = 0
        self.silent = SilentHooks(self._counters)
        self._left: dict[int, set[Hook]] = {}  # silent hooks, by ifindex
        self.replacements = 0

    @property
    def overruns(self) -> int:
        """Times the netlink socket's queue overflowed."""
        return self._monitor.overruns

    @property
    def attached(self) -> bool:
        """Whether at least one wanted interface is attached, or none is wanted."""
        counted, wanted = self.counted
        return counted > 0 or not wanted

    @property
    def counted(self) -> tuple[int, int]:
        """Number of attached interfaces, and of wanted ones."""
        with self._lock:
            return sum(a.lease is not None for a in self._attached.values()), len(self._attached)

    def start(self) -> None:
        """Attach to the wanted interfaces, and remove what an earlier process left elsewhere.

        A glob that matches no interface yet may be a typing error: each logs a warning.
        """
        names = [link.name for link in self._monitor.links.values()]
        for glob in self._wanted.idle(names):
            log.warning("no interface matches '%s' yet; counting starts when one appears", glob)
        for rule in self._attacher.ingress.idle(names):
            log.warning("no interface matches --ingress '%s' yet", rule)
        # An ifindex may have passed to another interface; nothing of that counts for the former.
        links = {i: link.name for i, link in self._monitor.links.items() if self._wanted(link.name)}
        leases = self._leases.by_name
        self._table.keep_only({i: leases[name].id for i, name in links.items() if name in leases})
        self.reconcile()
        self._hooks.drop_inherited()
        self._table.keep_only({i: a.lease.id for i, a in self._attached.items() if a.lease})

    async def follow(self) -> None:
        """Attach and detach as interfaces appear and disappear, until cancelled."""
        wakeup = Wakeup(self._monitor.fileno())
        try:
            while True:
                pause = SETTLE if self._attacher.turns.waiting else WATCH
                await wakeup.wait(min(pause, self.silent.pause))
                await to_its_end(asyncio.to_thread(self.look))
        finally:
            wakeup.close()

    def look(self) -> None:
        """Read netlink's messages and act on them; failures are counted, never raised."""
        with self.failures.suppressed("failed to follow interfaces, retrying"):
            self._monitor.receive()
            self.reconcile()
            self._attach_again()
            self._replace_silent()
            self._attach_waiting()
            while self._monitor.changed:  # messages that were received on the way
                self.reconcile()

    def stop(self) -> None:
        """Detach XDP from the ports of bonds in turn; all else ends when the hooks are closed."""
        with self.failures.suppressed("failed to detach in turn, detaching at once"):
            for link in self._attacher.detach_in_turn(self.attachments()):
                log.warning("%s: detaching before the other ports of its bond are back", link.name)

    def reconcile(self) -> None:
        """Make the attachments agree with netlink's latest messages."""
        self._ifbs[0] = _ifb_bits(self._monitor.links.values())
        links = {i: link for i, link in self._monitor.links.items() if self._wanted(link.name)}
        for ifindex in self._take_gone() & self._attached.keys():
            self._hooks.forget(ifindex)
            self._drop(ifindex)
        for ifindex in self._attached.keys() - links.keys():
            self._hooks.detach(ifindex)
            self._drop(ifindex)
        for link in links.values():
            self._follow_link(link)
        with self._lock:
            used = {a.lease.name for a in self._attached.values() if a.lease}
            self._leases.mark(used, time.monotonic())

    def _take_gone(self) -> set[int]:
        """Return the ifindexes of interfaces that are gone; others may have them by now."""
        gone = self._monitor.take_gone()
        if self._monitor.take_relisted():
            gone |= {ifindex for ifindex, _ in self._hooks.lost()}
        return gone

    def _follow_link(self, link: Link) -> None:
        known = self._attached.get(link.ifindex)
        if known is None:
            self._attach(link, {})
        elif known.link != link:
            if known.lease is None or len(known.hooks) < len(self._directions):
                self._attach(link, known.hooks)  # it failed before; what has changed may be why
            elif known.link.name != link.name:
                self._rename(link, known)
            known.link = link

    def _attach(self, link: Link, hooks: dict[Direction, str], again: bool = False) -> None:
        """Attach in the directions without a hook; failures are logged once an interface.

        An interface that disappears meanwhile is no failure.
        """
        first = again or link.ifindex not in self._attached
        found = self._attacher.attach(link, hooks, self._left.get(link.ifindex, ()))
        if found.refusals and not self._monitor.present(link.ifindex):
            self._hooks.detach(link.ifindex)
            if link.ifindex in self._attached:
                self._drop(link.ifindex)
            return
        if found.hooks and (refusal := self._enter(link, found.hooks)):
            self._hooks.detach(link.ifindex)
            found = Attached({}, [f"not counted: {refusal}"])
        if not found.hooks:
            with self._lock:
                self._attached[link.ifindex] = Attachment(link, {}, None)
        if first:
            self.attach_failures += len(found.refusals)
            for refusal in found.refusals:
                log.warning("%s: %s", link.name, refusal)
        if found.hooks != hooks:
            log.info("%s: counting at %s", link.name, found.text)

    def _attach_again(self) -> None:
        """Attach again where somebody else has detached our program.

        A program is also detached when its interface disappears; RTM_DELLINK arrives later.
        """
        lost = [key for key in self._hooks.lost() if self._monitor.present(key[0])]
        for ifindex, direction in lost if self._monitor.synchronised else []:
            known = self._attached.get(ifindex)
            if known and direction in known.hooks:
                log.warning("%s: somebody detached %s", known.link.name, known.hooks[direction])
                self.reattachments += 1
                hooks = {d: hook for d, hook in known.hooks.items() if d != direction}
                self._attach(known.link, hooks, again=True)

    def _replace_silent(self) -> None:
        """Attach at the next hook where one sees no packets."""
        for silent in self.silent.find(self.attachments()):
            link = silent.attachment.link
            if not silent.hook.xdp:
                log.warning("%s: %s, they are not counted", link.name, silent)
            elif self._monitor.present(link.ifindex):
                log.warning("%s: %s, replacing it by the next hook", link.name, silent)
                self._replace(silent)

    def _replace(self, silent: Silent) -> None:
        link, hooks = silent.attachment.link, dict(silent.attachment.hooks)
        del hooks[silent.direction]
        self.replacements += 1
        self._left.setdefault(link.ifindex, set()).add(silent.hook)
        self._hooks.detach_xdp(link.ifindex, silent.hook)
        self._attach(link, hooks, again=True)

    def _attach_waiting(self) -> None:
        """Attach at the ports of bonds whose turn has come."""
        for ifindex in self._attacher.turns.take_waiting() & self._attached.keys():
            self._attach(self._attached[ifindex].link, self._attached[ifindex].hooks)

    def _enter(self, link: Link, hooks: dict[Direction, str]) -> str:
        """Count an interface under the lease of its name; return "", or why that failed."""
        with self._lock:
            try:
                lease = self._leases.take(link.name, link.kernel_name)
            except BpfError as error:
                return f"no memory for its counters ({error})"
            if lease is None or not self._table.set(link.ifindex, lease.id, link.link_type):
                limit = self._counters.slots
                return f"no free slot (more than {limit} interfaces: raise --max-interfaces)"
            lease.gone_since = None
            self.classes[lease.slot] = tuple(InterfaceClass).index(link.interface_class)
            self._attached[link.ifindex] = Attachment(link, hooks, lease)
            return ""

    def _rename(self, link: Link, known: Attachment) -> None:
        if refusal := self._enter(link, known.hooks):
            log.warning("%s: new name %s not counted: %s", known.link.name, link.name, refusal)
            return
        log.info("%s: now named %s", known.link.name, link.name)
        modes = {self._attacher.ingress.of(name).mode for name in (known.link.name, link.name)}
        if len(modes) > 1:  # --ingress has another hook for the new name
            self._hooks.detach(link.ifindex)
            self._attach(link, {}, again=True)

    def _drop(self, ifindex: int) -> None:
        self._table.remove(ifindex)
        self._left.pop(ifindex, None)
        with self._lock:
            known = self._attached.pop(ifindex)
        log.info("%s: gone", known.link.name)

    def lease_names(self) -> dict[int, str]:
        """Return interface names by the lease ids under which records and drops may arrive."""
        with self._lock:
            return {lease.id: lease.name for lease in self._leases.by_name.values()}

    def active(self) -> set[str]:
        """Return the names of interfaces that have had traffic under their lease."""
        with self._lock:
            leases = list(self._leases.by_name.values())
            idle = [lease for lease in leases if lease.id not in self._active]
            counted = self._counters.read(np.array([lease.slot for lease in idle], np.intp))
        packets: U64 = counted["classes"]["packets"]
        seen: list[bool] = (packets.sum(axis=(1, 2)) > 0).tolist()
        self._active |= {lease.id for lease, active in zip(idle, seen, strict=True) if active}
        self._active &= {lease.id for lease in leases}
        return {lease.name for lease in leases if lease.id in self._active}

    def links(self) -> list[Link]:
        """Return every wanted interface, attached or not; one for each name."""
        with self._lock:
            return list({a.link.name: a.link for a in self._attached.values()}.values())

    def attachments(self) -> list[Attachment]:
        """Return the attachments of all wanted interfaces; a new one each time one is attached."""
        with self._lock:
            return list(self._attached.values())

    def snapshot(self) -> Snapshot:
        """Read the totals of every leased name, and the hooks of every wanted interface."""
        with self._lock:
            leases = list(self._leases.by_name.values())
            totals = self._counters.read(np.array([lease.slot for lease in leases], np.intp))
            hooks = {
                (a.link.name, direction): a.hooks.get(direction, NO_HOOK)
                for a in self._attached.values()
                for direction in self._directions
            }
            return Snapshot(leases, totals, self._directions, hooks)


def _ifb_bits(links: Iterable[Link]) -> int:
    """Return a bit for each IFB, by its ifindex modulo 64 (bpf/ifb.h)."""
    bits = 0
    for link in links:
        bits |= (link.kind == "ifb") << link.ifindex % 64
    return bits
