"""Report other pktexp processes at the same interfaces, and what is left of earlier ones.

Several processes count independently, so one that runs is worth a line. Links that no process holds
are pinned somewhere; a mount may hide the pins, and then nothing else tells of them.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.others import OtherLink, links_of_others
from pktexp.bpf.pins import hides_another
from pktexp.netlink.linkinfo import Link

log = logging.getLogger(__name__)

SHOWN = 12  # links that a line names
DETACH = "run 'bpftool link detach id …' for each at an interface"


def report(lib: Libbpf, links: Iterable[Link], own: Collection[int], root: Path | None) -> None:
    """Log other pktexp processes; `own` are ids of this process's programs, `root` its pins."""
    try:
        found = links_of_others(lib, links, own)
    except BpfError as error:
        _report_unknown(error, root)
        return
    for process in running(found):
        log.info("another pktexp counts here too: process %d", process)
    if abandoned := [link for link in found if not link.process]:
        log.warning(
            "links of another pktexp are attached, and no process visible here holds them: %s; "
            "unless it runs in a container, %s",
            names(abandoned),
            remedy(root),
        )


def running(links: Iterable[OtherLink]) -> list[int]:
    """Return the processes that hold any of these links."""
    return sorted({link.process for link in links} - {0})


def names(links: Sequence[OtherLink]) -> str:
    """Name links by place and id; many are cut short."""
    named = [f"{link.place} (link {link.id})" for link in links[:SHOWN]]
    named += [f"{len(links) - SHOWN} more"] if len(links) > SHOWN else []
    return ", ".join(named)


def remedy(root: Path | None) -> str:
    """Say how to remove such links; `root` is the folder of --pin."""
    if root and hides_another(root):
        return (
            f"unmount the bpffs that hides another one at {root}, and run 'pktexp unpin {root}' "
            f"before you mount it again; or {DETACH}"
        )
    return f"run 'pktexp unpin' with the folder that it was given, or {DETACH}"


def _report_unknown(error: BpfError, root: Path | None) -> None:
    if error.errno == errno.EPERM and root and hides_another(root):
        log.warning(
            "other programs are attached, which only CAP_SYS_ADMIN may look at; if an earlier "
            "pktexp left them, %s",
            remedy(root),
        )
    else:
        log.debug("cannot look for other pktexp processes: %s", error)
