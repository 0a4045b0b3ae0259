"""A BPF object file: size its maps, set its constants, load it, run it, view its maps as numpy.

This module knows libbpf and the kernel but no packets.
"""

from __future__ import annotations

import ctypes as c
import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pktexp.bpf.btf import Btf
from pktexp.bpf.libbpf import BpfError, Libbpf, TestRunOpts, VerifierError
from pktexp.errors import PktexpError
from pktexp.packet.records import Records

# Bytes of the verifier's log: a kernel before 6.4 refuses a program whose log does not fit, and one
# before 5.16 refuses more room than this.
LOG_SIZE = (16 << 20) - 1
NO_MEMORY = (errno.ENOMEM, errno.E2BIG)
# The verifier on global functions with pointer arguments, before kernel commit e5069b9c23b3.
NO_POINTERS = "type PTR in"
REBUILD = "build it with 'make -C bpf', or install the pktexp wheel again"


class BpfObject:
    """An opened BPF object; close it to release its programs and maps."""

    def __init__(self, lib: Libbpf, path: Path) -> None:
        """Open the object file at `path`; PktexpError if it is missing or broken."""
        self._lib = lib
        self._handle = 0
        try:
            arguments = (os.fsencode(path), None)
            attempted = f"open the BPF object {path}"
            self._handle = lib(attempted, "bpf_object__open_file", *arguments)
        except BpfError as error:
            raise PktexpError(str(error), REBUILD) from error

    @property
    def btf(self) -> Btf:
        """The types of the object."""
        return Btf(self._lib, self._lib("read the object's BTF", "bpf_object__btf", self._handle))

    def resize(self, name: str, entries: int) -> None:
        """Before loading, set the number of a map's entries."""
        self._lib(f"size map '{name}'", "bpf_map__set_max_entries", self._map(name), entries)

    def set_template(self, name: str, fd: int) -> None:
        """Before loading, let a map of maps hold maps like the one behind `fd`.

        libbpf 1.6 crashes if it is asked to resize the template in the object.
        """
        self._lib(
            f"set the template of map '{name}'", "bpf_map__set_inner_map_fd", self._map(name), fd
        )

    def share(self, name: str, fd: int) -> None:
        """Before loading, replace a map by the map behind `fd`."""
        self._lib(f"share map '{name}'", "bpf_map__reuse_fd", self._map(name), fd)

    def set_constants(self, section: str, value: bytes) -> None:
        """Before loading, fill a section of read-only data; PktexpError if its size differs."""
        size = c.c_size_t()
        arguments = (self._map(section), c.byref(size))
        address = self._lib("set the programs' constants", "bpf_map__initial_value", *arguments)
        if size.value != len(value):
            message = f"the BPF object's constants take {size.value} bytes, not {len(value)}"
            raise PktexpError(message, REBUILD)
        c.memmove(address, value, len(value))

    def set_program_flags(self, name: str, flags: int) -> None:
        """Before loading, set the load flags of a program (BPF_F_*)."""
        arguments = (self._program(name), flags)
        self._lib("set the program's flags", "bpf_program__set_flags", *arguments)

    def load(self, programs: Sequence[str]) -> None:
        """Load the object into the kernel.

        Raises VerifierError, with the logs of `programs`, if one of them is refused, and BpfError
        for any other failure.
        """
        # Anonymous mappings: they use memory only where the kernel writes a log.
        logs = [mmap.mmap(-1, LOG_SIZE) for _ in programs]
        for program, log in zip(programs, logs, strict=True):
            arguments = (self._program(program), c.addressof(c.c_char.from_buffer(log)), LOG_SIZE)
            self._lib("set the verifier's log", "bpf_program__set_log_buf", *arguments)
        attempted = "load the BPF programs into the kernel"
        try:
            self._lib(attempted, "bpf_object__load", self._handle)
        except BpfError as error:
            texts = [log[: log.find(b"\0")].decode(errors="replace") for log in logs]
            if any(texts):
                raise VerifierError(error.errno or 0, attempted, "\n".join(texts)) from error
            raise

    def program_fd(self, name: str) -> int:
        """Return a loaded program's descriptor, valid until the object is closed."""
        return int(self._lib("get the program's fd", "bpf_program__fd", self._program(name)))

    def program_info(self, name: str) -> dict[str, str]:
        """Return a loaded program's fdinfo: statistics by name (kernel/bpf/syscall.c, 5.1)."""
        lines = Path(f"/proc/self/fdinfo/{self.program_fd(name)}").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def map_fd(self, name: str) -> int:
        """Return a map's descriptor, valid until the object is closed."""
        return int(self._lib(f"get the fd of map '{name}'", "bpf_map__fd", self._map(name)))

    def view(self, name: str, dtype: np.dtype[Any], count: int) -> Records:
        """Map an array map of `count` values; it is unmapped when the last view is deleted."""
        return mapped(self.map_fd(name), dtype, count)

    def close(self) -> None:
        """Release programs and maps; views stay valid."""
        if self._handle:
            self._lib("close the object", "bpf_object__close", self._handle)
            self._handle = 0

    def _map(self, name: str) -> int:
        arguments = (self._handle, name.encode())
        return int(self._lib(f"find map '{name}'", "bpf_object__find_map_by_name", *arguments))

    def _program(self, name: str) -> int:
        arguments = (self._handle, name.encode())
        find = "bpf_object__find_program_by_name"
        return int(self._lib(f"find the program '{name}'", find, *arguments))


def explained(error: BpfError) -> PktexpError | None:
    """Return an error that says what to do about a failed load; None if that is not known."""
    if isinstance(error, VerifierError) and NO_POINTERS in error.log:
        message = "this kernel is too old for the BPF programs"
        return PktexpError(message, "use Linux 5.15 or later")
    if error.errno in NO_MEMORY:
        hint = "ask for less kernel memory: a smaller --flow-cache or --max-interfaces"
        return PktexpError(str(error), hint)
    return None


def run_program(lib: Libbpf, fd: int, frame: bytes, repeat: int, context: bytes = b"") -> int:
    """Run a program `repeat` times over a frame by BPF_PROG_TEST_RUN; return the last verdict.

    `context`: a struct __sk_buff or xdp_md with the fields that may be set (net/bpf/test_run.c,
    convert___skb_to_skb and bpf_prog_test_run_xdp, 5.15).
    """
    data = c.create_string_buffer(frame, len(frame))
    options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=repeat, data_size_in=len(frame))
    options.data_in = c.addressof(data)
    if context:
        fields = c.create_string_buffer(context, len(context))
        options.ctx_in, options.ctx_size_in = c.addressof(fields), len(context)
    lib("run the program", "bpf_prog_test_run_opts", fd, c.byref(options))
    return c.c_int32(options.retval).value


def mapped(fd: int, dtype: np.dtype[Any], count: int) -> Records:
    """Map the `count` values of an array map that was created mappable."""
    pages = -(-count * dtype.itemsize // mmap.PAGESIZE)
    return np.frombuffer(mmap.mmap(fd, pages * mmap.PAGESIZE), dtype, count)
