"""What counting by cgroup costs a packet at its socket; run it with `just bench-cgroups`.

Runs the programs of cgroups.bpf.c in turn by BPF_PROG_TEST_RUN on one CPU, and tables the medians:
what each takes more than an empty program.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import report
from pktexp.bpf import libbpf
from pktexp.bpf.cgroups import PROGRAMS, CgroupPrograms
from pktexp.bpf.object import run_program
from support.kernel.datapath import build

SOURCE = Path(__file__).with_suffix(".bpf.c")
FRAME = bytes(12) + b"\x08\x00\x45" + bytes(99)
EMPTY = "empty"
RUNS = 200_000


def measure(programs: CgroupPrograms, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Nanoseconds of CPU time a run, by program and round."""
    lib = libbpf.find()
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in times.items():
            started = time.thread_time_ns()
            run_program(lib, programs.object.program_fd(name), FRAME, RUNS)
            found.append((time.thread_time_ns() - started) / RUNS)
    return times


def main() -> None:
    """Time the programs, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--quick", action="store_true", help="a few runs; publishes nothing")
    chosen = parser.parse_args()
    rounds = 3 if chosen.quick else chosen.rounds
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    with tempfile.TemporaryDirectory() as folder:
        programs = CgroupPrograms(libbpf.find(), 256, path=build(SOURCE, Path(folder)))
        try:
            times = measure(programs, [EMPTY, *PROGRAMS.values()], rounds)
        finally:
            programs.close()
    over = [
        statistics.median(a - b for a, b in zip(times[name], times[EMPTY], strict=True))
        for name in PROGRAMS.values()
    ]
    rows = [(d.name.lower(), f"+{ns:.1f}") for d, ns in zip(PROGRAMS, over, strict=True)]
    rows.append(("mean of both", f"+{statistics.mean(over):.1f}"))
    head = f"{report.machine()}; medians of {rounds} rounds in turn."
    table = report.table(("direction", "ns a packet over empty"), rows)
    report.publish("cgroups", f"{head}\n\n{table}", chosen.quick)


if __name__ == "__main__":
    main()
