"""Find the links of other pktexp processes that are attached to interfaces here.

An earlier process leaves links if they are pinned, also where a mount hides the pins. Programs are
recognised by name, and those that share a map belong to one process. Needs CAP_SYS_ADMIN.
"""

from __future__ import annotations

import ctypes as c
import errno
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pktexp.bpf.attached import TCX, programs_at
from pktexp.bpf.hookchoice import Hook
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.pinnedlinks import LinkInfo, link_info
from pktexp.netlink.linkinfo import Link

# Names of the programs, cut to 15 bytes as the kernel cuts them, and where each is attached.
PLACES = {
    "count_xdp": "xdp",
    "count_ingress": "tcx-ingress",
    "count_egress": "tcx-egress",
    "count_drop": "kfree_skb",
    "count_retransmi": "tcp_retransmit_skb",
}
MOST_MAPS = 64  # of a program; the kernel's own limit is the same (MAX_USED_MAPS, 5.12)
PROC = Path("/proc")
LINK = "anon_inode:bpf_link"  # kernel/bpf/syscall.c (5.8)


class ProgramInfo(c.Structure):
    """struct bpf_prog_info (include/uapi/linux/bpf.h), up to the fields used here."""

    _fields_ = (
        *((name, c.c_uint32) for name in ("type", "id")),
        ("tag", c.c_uint8 * 8),
        *((name, c.c_uint32) for name in ("_jited_size", "_size")),
        *((name, c.c_uint64) for name in ("_jited", "_instructions", "_loaded")),
        *((name, c.c_uint32) for name in ("_user", "map_count")),
        ("maps", c.c_uint64),
        ("name", c.c_char * 16),
    )


@dataclass(frozen=True)
class OtherLink:
    """A link of another pktexp: its id, where it is, and the process that holds it.

    `process` is 0 if none is visible here; one in another PID namespace is not.
    """

    id: int
    place: str
    process: int = 0


def links_of_others(lib: Libbpf, links: Iterable[Link], own: Collection[int]) -> list[OtherLink]:
    """Return the links of each pktexp that is attached to one of these interfaces.

    `own`: ids of programs to leave out. Raises BpfError, EPERM if other programs are attached but
    must not be looked at.
    """
    strangers = (seen for seen in _strangers(lib, links) if seen[0] not in own)
    at = {(program, ifindex): name for program, ifindex, name in strangers}
    described = {program: _describe(lib, program) for program, _ in at}
    maps = {number for name, used in described.values() if name in PLACES for number in used}
    holders: dict[int, int] | None = None
    found = []
    for info in _every_link(lib) if maps else ():
        name, used = described.get(info.program) or _describe(lib, info.program)
        if name in PLACES and used & maps and info.program not in own:
            holders = _holders() if holders is None else holders
            interface = at.get((info.program, info.ifindex))
            place = f"{PLACES[name]} at {interface}" if interface else PLACES[name]
            found.append(OtherLink(info.id, place, holders.get(info.id, 0)))
    return found


def _strangers(lib: Libbpf, links: Iterable[Link]) -> Iterator[tuple[int, int, str]]:
    """Yield (program, ifindex, name) of the programs at interfaces."""
    for link in links:
        hooks = (*TCX, Hook.XDP_NATIVE) if link.xdp else tuple(TCX)
        for hook in hooks:
            for program in programs_at(lib, link.ifindex, hook):
                yield program, link.ifindex, link.name


def _describe(lib: Libbpf, program: int) -> tuple[str, set[int]]:
    """Return a program's name and the ids of its maps; ("", {}) if it is unloaded by now."""
    maps = (c.c_uint32 * MOST_MAPS)()
    info, size = ProgramInfo(map_count=MOST_MAPS, maps=c.addressof(maps)), c.sizeof(ProgramInfo)
    with _opened(lib, "bpf_prog_get_fd_by_id", program) as fd:
        if fd is None:
            return "", set()
        arguments = (fd, c.byref(info), c.byref(c.c_uint32(size)))
        lib("describe a program", "bpf_obj_get_info_by_fd", *arguments)
    return info.name.decode(errors="replace"), set(maps[: info.map_count])


def _every_link(lib: Libbpf) -> Iterator[LinkInfo]:
    """Yield the description of each link of the machine."""
    number = c.c_uint32(0)
    while True:
        try:
            lib("list links", "bpf_link_get_next_id", number, c.byref(number))
        except BpfError as error:
            if error.errno != errno.ENOENT:  # the end of the list
                raise
            return
        with _opened(lib, "bpf_link_get_fd_by_id", number.value) as fd:
            if fd is not None:
                yield link_info(lib, fd)


@contextmanager
def _opened(lib: Libbpf, function: str, number: int) -> Iterator[int | None]:
    """Open a program or a link by its id; None if it does not exist any more."""
    try:
        fd: int = lib("open a program or link of another process", function, number)
    except BpfError as error:
        if error.errno != errno.ENOENT:
            raise
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _holders() -> dict[int, int]:
    """Return the other processes that hold links: link id -> process id."""
    found: dict[int, int] = {}
    for path in PROC.glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended, or is another user's
            process = int(path.parts[-3])
            if process != os.getpid() and path.readlink().name == LINK:
                text = (path.parents[1] / "fdinfo" / path.name).read_text()
                fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
                found[int(fields["link_id"])] = process
    return found
