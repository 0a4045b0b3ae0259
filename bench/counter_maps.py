"""What counting costs in a mapped array and in a PERCPU_ARRAY; run it with `just bench-counters`.

Times the programs of counter_maps.bpf.c with BPF_PROG_TEST_RUN, in turn, and prints medians.
"""

from __future__ import annotations

import ctypes as c
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from pktexp.kernel import libbpf
from pktexp.kernel.libbpf import Libbpf, TestRunOpts

SOURCE = Path(__file__).with_suffix(".bpf.c")
PROGRAMS = ("empty", "mapped", "percpu")
ROUNDS = 21
REPEAT = 2_000_000  # runs a round
FRAME = bytes(110)


def build(folder: str) -> Path:
    """The object, by the project's own Makefile."""
    built = Path(folder) / "counter_maps.bpf.o"
    makefile = SOURCE.parent.parent / "bpf"
    command = ["make", "-s", "-C", str(makefile), f"SRC={SOURCE}", f"OUT={built}"]
    subprocess.run(command, check=True)
    return built


def load(lib: Libbpf, path: Path) -> dict[str, int]:
    """Program name -> file descriptor; the object lives as long as this process."""
    handle = lib("open", "bpf_object__open_file", os.fsencode(path), None)
    lib("load", "bpf_object__load", handle)
    find = "bpf_object__find_program_by_name"
    return {
        name: lib("get the fd", "bpf_program__fd", lib("find", find, handle, name.encode()))
        for name in PROGRAMS
    }


def nanoseconds(lib: Libbpf, fd: int) -> int:
    """Mean time of one run, as the kernel tells it."""
    data = c.create_string_buffer(FRAME, len(FRAME))
    options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=REPEAT, data_size_in=len(FRAME))
    options.data_in = c.addressof(data)
    lib("run", "bpf_prog_test_run_opts", fd, c.byref(options))
    return int(options.duration)


def main() -> None:
    """Print a table of medians, and of what each program takes more than the empty one."""
    lib = libbpf.find()
    with tempfile.TemporaryDirectory() as folder:
        programs = load(lib, build(folder))
    times: dict[str, list[int]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, fd in programs.items():
            times[name].append(nanoseconds(lib, fd))
    empty = statistics.median(times["empty"])
    print(f"Linux {os.uname().release}, {os.cpu_count()} CPUs")
    print(f"{ROUNDS} rounds in turn, {REPEAT} runs each")
    print(f"{'program':8} {'min':>5} {'median':>7} {'max':>5} {'over empty':>11}   ns a packet")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:8} {min(found):5} {median:7.0f} {max(found):5} {median - empty:11.0f}")


if __name__ == "__main__":
    main()
