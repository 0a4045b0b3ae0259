"""Keeps the programs on the interfaces that are wanted, and each name's counters with the name.

Brings together what netlink tells (kernel/links.py), the programs (kernel/datapath.py) and the
counters (kernel/counters.py), whose slots are let to names (leases.py); metrics.py reads snapshots.
"""

from __future__ import annotations

import asyncio
import errno
import fnmatch
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pktexp.kernel.counters import Counters, InterfaceTable
from pktexp.kernel.datapath import Datapath
from pktexp.kernel.links import Link, LinkMonitor
from pktexp.kernel.records import Records
from pktexp.leases import Lease, Leases
from pktexp.tasks import to_its_end
from pktexp.wakeup import Wakeup

log = logging.getLogger(__name__)

TIDY = 60.0  # seconds between looks at leases that have run out
NO_HOOK = "none"


class NameFilter:
    """Which interfaces are wanted, by globs over their names."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """No `include` means every interface."""
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def __call__(self, name: str) -> bool:
        """Whether an interface of this name is wanted."""
        wanted = not self.include or _any_match(name, self.include)
        return wanted and not _any_match(name, self.exclude)

    def idle(self, names: Sequence[str]) -> list[str]:
        """Globs of either kind that match none of `names`."""
        return [g for g in self.include + self.exclude if not fnmatch.filter(names, g)]


def _any_match(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


@dataclass
class Attachment:
    """An interface that should be counted; `hook` is NO_HOOK where that failed."""

    link: Link
    hook: str
    lease: Lease | None


@dataclass(frozen=True)
class Snapshot:
    """All interfaces at one moment: `totals[i]` (INTERFACE_COUNTERS) belongs to `leases[i]`."""

    leases: list[Lease]
    totals: Records
    hooks: dict[str, str]


class Interfaces:
    """Attached to what is wanted, live. `attach_failures` and `follow_failures` only grow."""

    def __init__(self, datapath: Datapath, monitor: LinkMonitor, wanted: NameFilter) -> None:
        self._hooks = datapath.hooks
        self._monitor = monitor
        self._wanted = wanted
        self._table = InterfaceTable(datapath.interfaces)
        self._counters = Counters(datapath.counters)
        self._leases = Leases(self._counters)
        self._attached: dict[int, Attachment] = {}
        self._lock = threading.Lock()
        self.attach_failures = 0
        self.follow_failures = 0

    @property
    def overruns(self) -> int:
        """How often netlink had more to tell than its queue could hold."""
        return self._monitor.overruns

    @property
    def attached(self) -> bool:
        """Whether any interface that is wanted is attached to, or none is wanted."""
        with self._lock:
            states = [a.lease is not None for a in self._attached.values()]
        return any(states) or not states

    def warn_of_idle_globs(self) -> None:
        """One warning for each glob that matches no interface: it may be a slip, or one to come."""
        for glob in self._wanted.idle([link.name for link in self._monitor.links.values()]):
            log.warning("no interface matches '%s' now; it counts when one comes", glob)

    async def follow(self) -> None:
        """Attach and detach as interfaces come and go, until cancelled."""
        wakeup = Wakeup(self._monitor.fileno())
        try:
            while True:
                await wakeup.wait(TIDY)
                await to_its_end(asyncio.to_thread(self.look))
        finally:
            wakeup.close()

    def look(self) -> None:
        """Take in what netlink tells, and act on it; failures are counted, never raised."""
        try:
            self._monitor.receive()
            self.reconcile()
        except Exception as error:
            self.follow_failures += 1
            log.error("following the interfaces failed: %s", error, exc_info=_traceback())

    def reconcile(self) -> None:
        """Make what is attached agree with what netlink has told."""
        links = {i: link for i, link in self._monitor.links.items() if self._wanted(link.name)}
        gone = self._monitor.take_gone() | (self._attached.keys() - links.keys())
        for ifindex in gone & self._attached.keys():
            self._drop(ifindex)
        for link in links.values():
            self._follow_link(link)
        with self._lock:
            used = {a.lease.name for a in self._attached.values() if a.lease}
            self._leases.mark(used, time.monotonic())

    def _follow_link(self, link: Link) -> None:
        known = self._attached.get(link.ifindex)
        if known is None:
            self._attach(link)
        elif known.link != link:
            if known.lease is None:
                self._attach(link)  # it failed before; what has changed may be why
            elif known.link.name != link.name:
                self._rename(link, known)
            known.link = link

    def _attach(self, link: Link) -> None:
        try:
            hook, fallback = self._hooks.attach(link.ifindex)
        except OSError as error:
            self._refuse(link, f"{error}{_attach_hint(error)}")
            return
        if not self._enter(link, hook):
            self._hooks.detach(link.ifindex)
            hint = f"more than {self._counters.slots} interfaces: raise --max-interfaces"
            self._refuse(link, f"no room to count it ({hint})")
            return
        log.info("%s: counting at %s%s", link.name, hook, f" ({fallback})" if fallback else "")

    def _refuse(self, link: Link, reason: str) -> None:
        known = self._attached.get(link.ifindex)
        with self._lock:
            self._attached[link.ifindex] = Attachment(link, NO_HOOK, None)
        if known is None:
            self.attach_failures += 1
            log.warning("%s: not counted: %s", link.name, reason)

    def _enter(self, link: Link, hook: str) -> bool:
        with self._lock:
            lease = self._leases.take(link.name)
            if lease is None or not self._table.set(link.ifindex, lease.id, link.link_type):
                return False
            lease.gone_since = None
            self._attached[link.ifindex] = Attachment(link, hook, lease)
            return True

    def _rename(self, link: Link, known: Attachment) -> None:
        if self._enter(link, known.hook):
            log.info("%s: now named %s", known.link.name, link.name)
        else:
            log.warning("%s: no room for its new name %s", known.link.name, link.name)

    def _drop(self, ifindex: int) -> None:
        self._hooks.detach(ifindex)
        self._table.remove(ifindex)
        with self._lock:
            known = self._attached.pop(ifindex)
        log.info("%s: gone", known.link.name)

    def lease_ids(self) -> list[int]:
        """The ids under which records may come."""
        with self._lock:
            return [lease.id for lease in self._leases.by_name.values()]

    def lease_names(self) -> dict[int, str]:
        """The ids under which an interface may be counted, and its name."""
        with self._lock:
            return {lease.id: lease.name for lease in self._leases.by_name.values()}

    def snapshot(self) -> Snapshot:
        """Totals of every name that has a lease, and the hook of every wanted interface."""
        with self._lock:
            leases = list(self._leases.by_name.values())
            totals = self._counters.read(np.array([lease.slot for lease in leases], np.intp))
            return Snapshot(leases, totals, {a.link.name: a.hook for a in self._attached.values()})


def _attach_hint(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return " (another XDP program is there: see 'ip link show')"
    return ""


def _traceback() -> bool:
    return log.isEnabledFor(logging.DEBUG)
