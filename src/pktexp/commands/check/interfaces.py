"""Predict which interfaces `serve` would count, and at which hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pktexp.bpf.ingressrules import IngressRules
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.others import links_of_others
from pktexp.bpf.pinnedlinks import pinned_programs
from pktexp.commands.check import forecast
from pktexp.commands.check.findings import Finding, Place, finding
from pktexp.errors import PktexpError
from pktexp.interfaces import others
from pktexp.interfaces.namefilter import NameFilter
from pktexp.netlink import driver
from pktexp.netlink.linkinfo import Link
from pktexp.netlink.links import LinkMonitor
from pktexp.settings import Settings

SECTION = "interfaces"
UNKNOWN = "unknown"
OTHER = "other pktexp"


def listed() -> tuple[list[Link], Finding]:
    """Return the interfaces by ifindex, and whether netlink can list them."""
    try:
        monitor = LinkMonitor()
    except PktexpError as error:
        return [], finding(SECTION, "netlink", False, str(error), error.hint)
    monitor.close()
    links = [link for _, link in sorted(monitor.links.items())]
    return links, finding(SECTION, "netlink", True, f"lists {len(links)} interfaces")


def findings(links: Sequence[Link], settings: Settings) -> Iterator[Finding]:
    """Yield whether --max-interfaces suffices, and each glob that matches no interface."""
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    names = [link.name for link in links]
    count, limit = len([name for name in names if wanted(name)]), settings.max_interfaces
    detail = f"{count} to count, room for {limit}"
    yield finding(SECTION, "room", count <= limit, detail, "raise --max-interfaces")
    for glob in wanted.idle(names) + IngressRules(settings.ingress).idle(names):
        yield finding(SECTION, glob, False, "matches no interface now", needed=False)


def other_processes(lib: Libbpf, links: Sequence[Link], root: Path | None) -> Iterator[Finding]:
    """Yield other pktexp processes that are attached, if any.

    `root` is the folder of --pin; links that are pinned there would be taken over.
    """
    try:
        found = links_of_others(lib, links, pinned_programs(lib, root) if root else ())
    except BpfError as error:
        detail = f"other programs are attached, but may not be looked at: {error}"
        yield finding(SECTION, OTHER, None, detail, needed=False)
        return
    for process in others.running(found):
        yield finding(SECTION, OTHER, True, f"process {process} counts here too", needed=False)
    if abandoned := [link for link in found if not link.process]:
        detail = f"no process visible here holds its links: {others.names(abandoned)}"
        remedy = f"unless it runs in a container, {others.remedy(root)}"
        yield finding(SECTION, OTHER, False, detail, remedy, needed=False)


def places(links: Sequence[Link], settings: Settings, tcx: bool | None) -> list[Place]:
    """Return a place per interface; `tcx` is None if it is unknown whether the kernel has TCX."""
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    native_xdp = driver.native_xdp()
    return [_place(link, settings, wanted, tcx, native_xdp.get(link.ifindex)) for link in links]


def _place(
    link: Link, settings: Settings, wanted: NameFilter, tcx: bool | None, native_xdp: bool | None
) -> Place:
    name = driver.name(link.name)
    if why := wanted.why_not(link.name):
        hooks = "", "", why
    elif tcx is None:
        hooks = UNKNOWN, UNKNOWN, "cannot determine whether the kernel has TCX"
    else:
        rules = IngressRules(settings.ingress)
        strips = driver.strips_vlan_tags(link.name)
        ingress, why = forecast.ingress(rules.of(link.name), link, name, tcx, native_xdp, strips)
        hooks = ingress, forecast.egress(tcx) if settings.egress else "", why
    return Place(link.name, link.kind, link.interface_class, name, *hooks)
