"""Running a program without any packet on a wire, by BPF_PROG_TEST_RUN; for tests and benches."""

from __future__ import annotations

import ctypes as c

from pktexp.bpf.libbpf import Libbpf, TestRunOpts


def run_program(lib: Libbpf, fd: int, frame: bytes, repeat: int, context: bytes = b"") -> int:
    """Run a program so many times over a frame, by BPF_PROG_TEST_RUN; the last verdict.

    `context`: for a program that sees socket buffers, fields of struct __sk_buff that the kernel
    lets be set (net/bpf/test_run.c, convert___skb_to_skb, 5.15).
    """
    data = c.create_string_buffer(frame, len(frame))
    options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=repeat, data_size_in=len(frame))
    options.data_in = c.addressof(data)
    if context:
        fields = c.create_string_buffer(context, len(context))
        options.ctx_in, options.ctx_size_in = c.addressof(fields), len(context)
    lib("run the program", "bpf_prog_test_run_opts", fd, c.byref(options))
    return c.c_int32(options.retval).value
