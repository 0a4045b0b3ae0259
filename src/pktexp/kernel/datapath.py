"""The loaded BPF object: open, size its maps, set its constants, load, attach and detach.

Uses libbpf.py for every call and records.py for every layout; hands its maps out as numpy views
(counters.py) and as rings (ring.py). A link is a file descriptor: when the process ends, however
it ends, the kernel detaches the program.
"""

from __future__ import annotations

import ctypes as c
import errno
import logging
import mmap
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from pktexp.errors import PktexpError
from pktexp.kernel import records
from pktexp.kernel.btf import Btf
from pktexp.kernel.cpus import highest_online_cpu
from pktexp.kernel.libbpf import BpfError, Libbpf, LinkCreateOpts, TestRunOpts, VerifierError
from pktexp.kernel.records import Records
from pktexp.kernel.ring import Ring

log = logging.getLogger(__name__)

OBJECT = Path(str(files("pktexp") / "packet.bpf.o"))
PROGRAM = "count_ingress"
LOG_SIZE = 16 << 20  # bytes; the kernel refuses to load when its verifier's log does not fit

# From include/uapi/linux/bpf.h and if_link.h (6.1).
PROG_TYPE_XDP = 6
MAP_TYPE_RINGBUF = 27
ATTACH_XDP = 37
HELPER_XDP_GET_BUFF_LEN = 188
XDP_FLAGS_SKB_MODE = 1 << 1
XDP_FLAGS_DRV_MODE = 1 << 2
# The device is gone, we may not, another native XDP program is there: no generic hook either.
NO_OTHER_HOOK = (errno.ENODEV, errno.EPERM, errno.EBUSY)
HOOKS = {"xdp-native": XDP_FLAGS_DRV_MODE, "xdp-generic": XDP_FLAGS_SKB_MODE}


@dataclass(frozen=True)
class DatapathOptions:
    """What is fixed when the object is loaded."""

    slots: int = 1024
    """interfaces that can be counted at one time; a power of two"""
    rings: int = 1
    """ring buffers, each with its own reader"""
    ring_size: int = 8 << 20
    """bytes a ring; a power of two and a multiple of the page size"""
    events: bool = True
    """send a record for every packet"""


class Datapath:
    """The programs and maps of one pktexp. Close it to detach everything."""

    def __init__(self, lib: Libbpf, options: DatapathOptions, path: Path = OBJECT) -> None:
        """Open, check and load the object at `path`.

        Raises PktexpError if it is missing, broken, or of another build; VerifierError or BpfError
        if the kernel refuses it.
        """
        self._lib = lib
        self.options = options
        self._links: dict[int, int] = {}
        self._object = 0
        _require_ring_buffer(lib)
        self._object = self._open(path)
        try:
            records.check(Btf(lib, lib("read the object's BTF", "bpf_object__btf", self._object)))
            self._configure()
            self._load()
            self.interfaces = self._view("interfaces", records.INTERFACE_BUCKET, options.slots)
            self.counters = self._view(
                "counters", records.INTERFACE_COUNTERS, self._rows * options.slots
            ).reshape(self._rows, options.slots)
            self.rings = self._make_rings() if options.events else []
        except BaseException:
            self.close()
            raise

    def attach(self, ifindex: int) -> tuple[str, str]:
        """Attach to an interface: (hook, why no better hook; "" for the best).

        Native XDP, else generic. BpfError, with the generic hook's reason, if neither can be had.
        """
        fallback = ""
        for hook, flags in HOOKS.items():
            try:
                self._links[ifindex] = self._link(ifindex, hook, flags)
            except BpfError as error:
                if hook == "xdp-generic" or error.errno in NO_OTHER_HOOK:
                    raise
                fallback = str(error)
            else:
                return hook, fallback
        raise AssertionError("there is always a last hook")

    def detach(self, ifindex: int) -> None:
        """Detach from an interface; nothing happens if there is no link to it."""
        if (link := self._links.pop(ifindex, None)) is not None:
            os.close(link)

    def test_run(self, frame: bytes, repeat: int = 1) -> int:
        """Run the program over a frame by BPF_PROG_TEST_RUN, as if `lo` had received it.

        Returns its verdict (enum xdp_action). Needs Linux 5.18 for frames larger than a page.
        """
        data = c.create_string_buffer(frame, len(frame))
        options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=repeat, data_size_in=len(frame))
        options.data_in = c.addressof(data)
        self._lib("run the program", "bpf_prog_test_run_opts", self.program_fd, c.byref(options))
        return int(options.retval)

    @property
    def program_fd(self) -> int:
        """The loaded program's file descriptor."""
        fd: int = self._lib("get the program's fd", "bpf_program__fd", self._program())
        return fd

    def program_info(self) -> dict[str, str]:
        """What the kernel tells of the loaded program in its fdinfo (kernel/bpf/syscall.c, 5.1)."""
        lines = Path(f"/proc/self/fdinfo/{self.program_fd}").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    @property
    def counter_bytes(self) -> int:
        """Kernel memory of the interface counters, in bytes."""
        return self.counters.nbytes

    def close(self) -> None:
        """Detach from every interface and let go of the programs and maps."""
        for ifindex in list(self._links):
            self.detach(ifindex)
        self.rings = []
        if self._object:
            self._lib("close the object", "bpf_object__close", self._object)
            self._object = 0

    def _open(self, path: Path) -> int:
        try:
            return int(
                self._lib(
                    f"open the BPF object {path}",
                    "bpf_object__open_file",
                    os.fsencode(path),
                    None,
                )
            )
        except BpfError as error:
            hint = "build it with 'make -C bpf', or install the pktexp wheel again"
            raise PktexpError(str(error), hint) from error

    def _configure(self) -> None:
        """Set the constants and size the maps; possible only before loading."""
        options = self.options
        self._rows = highest_online_cpu() + 2  # one more, for CPUs that come online later
        sizes = {
            "interfaces": options.slots,
            "counters": self._rows * options.slots,
            "rings": options.rings,
            "wakeups": options.rings,
        }
        for name, entries in sizes.items():
            self._lib(f"size map '{name}'", "bpf_map__set_max_entries", self._map(name), entries)
        config = np.zeros((), records.CONFIG)
        config["counter_rows"] = self._rows
        config["slots"] = options.slots
        config["rings"] = options.rings
        config["wakeup_bytes"] = options.ring_size // 8
        config["events"] = options.events
        c.memmove(self._constants(config.nbytes), config.tobytes(), config.nbytes)

    def _constants(self, size: int) -> int:
        found = c.c_size_t()
        address: int = self._lib(
            "set the programs' constants",
            "bpf_map__initial_value",
            self._map(".rodata.config"),
            c.byref(found),
        )
        if found.value != size:
            raise PktexpError(
                f"the BPF object's constants take {found.value} bytes, not {size}",
                "build it again with 'make -C bpf'",
            )
        return address

    def _load(self) -> None:
        if not self._has_multi_buffer():
            log.info(
                "this kernel has no multi-buffer XDP (Linux 5.18): jumbo frames need generic XDP"
            )
            self._lib("leave multi-buffer out", "bpf_program__set_flags", self._program(), 0)
        verifier_log = mmap.mmap(-1, LOG_SIZE)  # untouched, and so no memory, unless it is written
        address = c.addressof(c.c_char.from_buffer(verifier_log))
        self._lib("keep the log", "bpf_program__set_log_buf", self._program(), address, LOG_SIZE)
        attempted = "load the BPF programs into the kernel"
        try:
            self._lib(attempted, "bpf_object__load", self._object)
        except BpfError as error:
            if text := verifier_log[: verifier_log.find(b"\0")].decode(errors="replace"):
                raise VerifierError(error.errno or 0, attempted, text) from error
            raise

    def _has_multi_buffer(self) -> bool:
        attempted = "ask the kernel for multi-buffer XDP"
        probe = (PROG_TYPE_XDP, HELPER_XDP_GET_BUFF_LEN, None)
        try:
            return bool(self._lib(attempted, "libbpf_probe_bpf_helper", *probe))
        except BpfError:
            return False

    def _make_rings(self) -> list[Ring]:
        wakeups = self._view("wakeups", records.RING_WAKEUP, self.options.rings)
        return [self._make_ring(index, wakeups[index : index + 1]) for index in range(len(wakeups))]

    def _make_ring(self, index: int, wakeup: Records) -> Ring:
        size = self.options.ring_size
        attempted = f"make a ring buffer of {size} bytes"
        arguments = (MAP_TYPE_RINGBUF, b"packet_events", 0, 0, size, None)
        fd: int = self._lib(attempted, "bpf_map_create", *arguments)
        try:
            key, value = c.c_uint32(index), c.c_uint32(fd)
            outer = self._map_fd("rings")
            self._lib(attempted, "bpf_map_update_elem", outer, c.byref(key), c.byref(value), 0)
            return Ring(fd, size, wakeup)
        except BaseException:
            os.close(fd)
            raise

    def _link(self, ifindex: int, hook: str, flags: int) -> int:
        options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts), flags=flags)
        arguments = (self.program_fd, ifindex, ATTACH_XDP, c.byref(options))
        fd: int = self._lib(f"attach {hook}", "bpf_link_create", *arguments)
        return fd

    def _view(self, name: str, dtype: np.dtype[Any], count: int) -> Records:
        """A mapped array as a numpy view; the mapping goes when the last view of it does."""
        memory = mmap.mmap(self._map_fd(name), _whole_pages(count * dtype.itemsize))
        return np.frombuffer(memory, dtype, count)

    def _map(self, name: str) -> int:
        arguments = (self._object, name.encode())
        return int(self._lib(f"find map '{name}'", "bpf_object__find_map_by_name", *arguments))

    def _map_fd(self, name: str) -> int:
        return int(self._lib(f"get the fd of map '{name}'", "bpf_map__fd", self._map(name)))

    def _program(self) -> int:
        arguments = (self._object, PROGRAM.encode())
        return int(self._lib("find the program", "bpf_object__find_program_by_name", *arguments))


def _require_ring_buffer(lib: Libbpf) -> None:
    probe = ("libbpf_probe_bpf_map_type", MAP_TYPE_RINGBUF, None)
    if not lib("ask the kernel for BPF ring buffers", *probe):
        hint = "Linux 5.8 or later is needed; 5.15 or later is tested"
        raise PktexpError("this kernel has no BPF ring buffer", hint)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
