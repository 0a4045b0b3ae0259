"""Running a program without any packet on a wire, by BPF_PROG_TEST_RUN; for tests and benches."""

from __future__ import annotations

import ctypes as c

from pktexp.kernel.libbpf import Libbpf, TestRunOpts


def run_program(lib: Libbpf, fd: int, frame: bytes, repeat: int) -> int:
    """Run an XDP program so many times over a frame, by BPF_PROG_TEST_RUN; the last verdict."""
    data = c.create_string_buffer(frame, len(frame))
    options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=repeat, data_size_in=len(frame))
    options.data_in = c.addressof(data)
    lib("run the program", "bpf_prog_test_run_opts", fd, c.byref(options))
    return int(options.retval)
