"""What the programs cost a packet, by BPF_PROG_TEST_RUN; run it with `just bench-datapath`.

Runs the programs of datapath.bpf.c in turn over the same flows, on one CPU, with readers on
another, and tables the medians: what each takes more than an empty program.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

import flows
import report
from pktexp.bpf import libbpf
from pktexp.bpf.counters import Counters, InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject, run_program
from pktexp.bpf.options import DatapathOptions
from pktexp.packet.enums import LinkType
from pktexp.packet.records import Records
from readers import perf_reader, ring_reader
from support.kernel.datapath import LOOPBACK, SLOT, build
from support.packets.cases import ETHER

SOURCE = Path(__file__).with_suffix(".bpf.c")
HASH_ENTRIES = flows.SEQUENCE  # room for all flows
WARM = 0.5  # seconds, at most
ROUND = 0.02  # seconds that a program is timed for in each round
BASE, PARSE, COUNTERS, CACHE, HASH = "empty", "parse", "counters", "flow cache", "per-CPU hash"


@dataclass(frozen=True)
class Program:
    """A program to time; `lost` counts the events that found no room, if it sends any."""

    name: str
    fd: int
    sequence: Records
    lost: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Case:
    """The packets that all programs get."""

    version: int
    size: int
    flows: int
    zipf: bool

    def __str__(self) -> str:
        spread = "" if self.flows == 1 else " Zipf" if self.zipf else " uniform"
        return f"v{self.version} {self.size} B, {self.flows:,}{spread}"

    def frame(self) -> bytes:
        """One frame; the programs write the flow's number into its source address."""
        network = (
            IP(dst="10.0.0.1") if self.version == 4 else IPv6(src="2001:db8::", dst="2001:db8::1")
        )
        headers = bytes(ETHER / network / UDP(sport=1, dport=2))
        return bytes(ETHER / network / UDP(sport=1, dport=2) / bytes(self.size - len(headers)))


@contextmanager
def configured(
    lib: Libbpf, path: Path, name: str, options: DatapathOptions, cpu: int
) -> Iterator[Program]:
    """The project's own program with such options, and its ring's reader."""
    datapath = Datapath(lib, options, path)
    try:
        InterfaceTable(datapath.interfaces).set(LOOPBACK, SLOT, LinkType.ETHERNET)
        counters = Counters(datapath.counters)

        def lost() -> int:
            return int(counters.read(np.array([SLOT]))["lost"]["packets"].sum())

        with ExitStack() as stack:
            if datapath.rings:
                stack.enter_context(ring_reader(datapath, cpu))
            fd, sequence = datapath.object.program_fd("pktexp"), flows.view(datapath.object)
            yield Program(name, fd, sequence, lost)
    finally:
        datapath.close()


@contextmanager
def alternatives(lib: Libbpf, path: Path, cpu: int) -> Iterator[list[Program]]:
    """All others, from one object."""
    loaded = BpfObject(lib, path)
    try:
        for name in ("percpu_hash", "lru_hash"):
            loaded.resize(name, HASH_ENTRIES)
        loaded.load(["empty"])
        sequence = flows.view(loaded)
        with perf_reader(loaded.map_fd("perf"), cpu) as lost:
            names = {
                BASE: "empty",
                PARSE: "parse_only",
                "PERCPU_ARRAY": "count_percpu",
                HASH: "hash_percpu",
                "LRU hash": "hash_lru",
            }
            yield [
                *(Program(n, loaded.program_fd(p), sequence) for n, p in names.items()),
                Program("perf event", loaded.program_fd("perf_event"), sequence, lost),
            ]
    finally:
        loaded.close()


@contextmanager
def programs(cpu: int, entries: int) -> Iterator[list[Program]]:
    """Everything that is compared."""
    lib = libbpf.find()
    modes = {
        COUNTERS: DatapathOptions(slots=16, events=False),
        "packet events": DatapathOptions(slots=16),
        CACHE: DatapathOptions(slots=16, flow_cache=entries),
    }
    with ExitStack() as stack:
        path = build(SOURCE, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        others = stack.enter_context(alternatives(lib, path, cpu))
        yield [
            *others[:2],
            *(stack.enter_context(configured(lib, path, n, o, cpu)) for n, o in modes.items()),
            *others[2:],
        ]


def nanoseconds(lib: Libbpf, program: Program, frame: bytes, repeat: int) -> float:
    """Mean CPU time of a run; what else runs on the machine is not in it."""
    started = time.thread_time_ns()
    run_program(lib, program.fd, frame, repeat)
    return (time.thread_time_ns() - started) / repeat


def measure(case: Case, compared: list[Program], rounds: int, seconds: float) -> list[list[float]]:
    """For each program the times of its rounds in ns, and at the end its losses a packet."""
    lib, frame, numbers = libbpf.find(), case.frame(), flows.order(case.flows, case.zipf)
    repeats, before = [], []
    for program in compared:
        program.sequence[:] = numbers
        first = nanoseconds(lib, program, frame, 1000)
        warm = min(
            flows.SEQUENCE, int(WARM * 1e9 / first)
        )  # every flow comes, to fill caches and maps
        settled = nanoseconds(lib, program, frame, warm)
        repeats.append(max(int(seconds * 1e9 / settled), 1000))
        before.append(program.lost())
    times: list[list[float]] = [[] for _ in compared]
    for _ in range(rounds):
        for found, program, repeat in zip(times, compared, repeats, strict=True):
            found.append(nanoseconds(lib, program, frame, repeat))
    for found, program, repeat, old in zip(times, compared, repeats, before, strict=True):
        found.append((program.lost() - old) / (repeat * rounds))
    return times


def over(result: list[list[float]], program: int, base: int) -> float:
    """What a program takes more than another: the median of the differences in each round."""
    pairs = zip(result[program][:-1], result[base][:-1], strict=True)
    return statistics.median(time - other for time, other in pairs)


def cells(result: list[list[float]]) -> list[str]:
    """The empty program's time, and what the others take more; in brackets what was lost."""
    texts = [f"{statistics.median(result[0][:-1]):.0f}"]
    for program, found in enumerate(result[1:], 1):
        lost = f" ({found[-1]:.0%} lost)" if found[-1] > 0.001 else ""
        texts.append(f"+{over(result, program, 0):.1f}{lost}")
    return texts


def budgets(results: dict[Case, list[list[float]]], names: list[str]) -> str:
    """The figures that there are budgets for, from the same results."""
    parse, counters, cache, usual = map(names.index, (PARSE, COUNTERS, CACHE, HASH))
    rows: list[list[object]] = []
    for case, result in results.items():
        if case.version == 4 and case.size == 64 and not case.zipf:
            ours, theirs = over(result, cache, parse), over(result, usual, parse)
            only = over(result, counters, parse)
            rows.append(
                [case, f"{only:.1f}", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"]
            )
    return report.table(["ns a packet over parsing", COUNTERS, CACHE, HASH, "ratio"], rows)


def cases(quick: bool) -> list[Case]:
    """Every combination, or a few."""
    if quick:
        return [Case(4, 64, 1000, False)]
    spreads = [(n, z) for n in (1, 1000, 8000, 65_000, 1_000_000) for z in (False, True)][1:]
    return [Case(v, s, n, z) for v, s, (n, z) in itertools.product((4, 6), (64, 1500), spreads)]


def main() -> None:
    """Time all programs in every case, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--flow-cache", type=int, default=16384, help="entries a CPU")
    parser.add_argument("--quick", action="store_true", help="a few runs; publishes nothing")
    chosen = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    with programs(cpus[-1], chosen.flow_cache) as compared:
        os.sched_setaffinity(0, cpus[:1])
        results = {
            case: measure(case, compared, chosen.rounds, ROUND) for case in cases(chosen.quick)
        }
    names = [program.name for program in compared]
    table = report.table(
        ["ns a packet over empty", *names], [[case, *cells(r)] for case, r in results.items()]
    )
    entries = f"{chosen.flow_cache:,} entries a CPU in the flow cache"
    head = f"{report.machine()}; medians of {chosen.rounds} rounds in turn; {entries}."
    report.publish("datapath", f"{head}\n\n{budgets(results, names)}\n\n{table}", chosen.quick)


if __name__ == "__main__":
    main()
