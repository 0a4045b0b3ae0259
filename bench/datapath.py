"""What the programs cost a packet, by BPF_PROG_TEST_RUN; run it with `just bench-datapath`.

Runs the project's programs and those of datapath.bpf.c in turn over the same flows, at XDP and at
TCX, on one CPU, with readers on another. Tables the medians: what each takes more than an empty
program at the same hook.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

import flows
import report
from pick import HOOKS, Program, nanoseconds, picked
from pick import SOURCE as PICKER
from pktexp.bpf import libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import OBJECT, Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject
from pktexp.bpf.options import DatapathOptions
from pktexp.packet.enums import LinkType
from readers import perf_reader, ring_reader
from support.kernel.datapath import LOOPBACK, SLOT, build
from support.packets.cases import ETHER

SOURCE = Path(__file__).with_suffix(".bpf.c")
HASH_ENTRIES = flows.SEQUENCE  # room for all flows
WARM = 0.5  # seconds, at most
ROUND = 0.02  # seconds that a program is timed for in each round
BASE, PARSE, COUNTERS, CACHE, HASH = "empty", "parse", "counters", "flow cache", "per-CPU hash"


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
    lib: Libbpf, path: Path, picker: Path, name: str, options: DatapathOptions, cpu: int
) -> Iterator[list[Program]]:
    """Yield the programs of an object of packet.bpf.c by hook, while its ring has a reader."""
    datapath = Datapath(lib, options, path)
    try:
        InterfaceTable(datapath.interfaces).set(LOOPBACK, SLOT, LinkType.ETHERNET)
        counters = datapath.counters
        counters.require(SLOT)

        def lost() -> int:
            return int(counters.read(np.array([SLOT]))["lost"]["packets"].sum())

        with ExitStack() as stack:
            if datapath.rings:
                stack.enter_context(ring_reader(datapath, cpu))
            fds = {hook: datapath.object.program_fd(real) for hook, real in HOOKS.items()}
            yield [
                stack.enter_context(picked(lib, picker, name, hook, fd, lost))
                for hook, fd in fds.items()
            ]
    finally:
        datapath.close()


@contextmanager
def alternatives(lib: Libbpf, path: Path, picker: Path, cpu: int) -> Iterator[list[Program]]:
    """Yield the programs of datapath.bpf.c, from one object."""
    loaded = BpfObject(lib, path)
    try:
        for name in ("percpu_hash", "lru_hash"):
            loaded.resize(name, HASH_ENTRIES)
        loaded.load(["empty_xdp"])
        names = {
            (BASE, "xdp"): "empty_xdp",
            (BASE, "tcx"): "empty_tcx",
            (PARSE, "xdp"): "parse_xdp",
            (PARSE, "tcx"): "parse_tcx",
            ("PERCPU_ARRAY", "xdp"): "count_percpu",
            (HASH, "xdp"): "hash_percpu",
            ("LRU hash", "xdp"): "hash_lru",
        }
        with perf_reader(loaded.map_fd("perf"), cpu) as lost, ExitStack() as stack:
            timed = [(n, h, loaded.program_fd(p), lambda: 0) for (n, h), p in names.items()]
            timed.append(("perf event", "xdp", loaded.program_fd("perf_event"), lost))
            yield [stack.enter_context(picked(lib, picker, *one)) for one in timed]
    finally:
        loaded.close()


@contextmanager
def programs(cpu: int, entries: int) -> Iterator[list[Program]]:
    """Yield all programs that are compared."""
    lib = libbpf.find()
    modes = {
        COUNTERS: DatapathOptions(slots=16, events=False),
        "packet events": DatapathOptions(slots=16),
        CACHE: DatapathOptions(slots=16, flow_cache=entries),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path, picker = build(SOURCE, folder), build(PICKER, folder)
        others = stack.enter_context(alternatives(lib, path, picker, cpu))
        ours = [
            stack.enter_context(configured(lib, OBJECT, picker, name, options, cpu))
            for name, options in modes.items()
        ]
        yield [*others[:4], *itertools.chain(*ours), *others[4:]]


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


def cells(result: list[list[float]], numbers: list[int]) -> list[str]:
    """The first program's time, and what the others take more; in brackets what was lost."""
    base, *others = numbers
    texts = [f"{statistics.median(result[base][:-1]):.0f}"]
    for program in others:
        share = result[program][-1]
        lost = f" ({share:.0%} lost)" if share > 0.001 else ""
        texts.append(f"+{over(result, program, base):.1f}{lost}")
    return texts


def budgets(results: dict[Case, list[list[float]]], compared: list[Program]) -> str:
    """The figures that there are budgets for, from the same results."""
    names = [program.name for program in compared if program.hook == "xdp"]
    found = [number for number, program in enumerate(compared) if program.hook == "xdp"]
    parse, counters, cache, usual = (found[names.index(n)] for n in (PARSE, COUNTERS, CACHE, HASH))
    rows: list[list[object]] = []
    for case, result in results.items():
        if case.version == 4 and case.size == 64 and not case.zipf:
            ours, theirs = over(result, cache, parse), over(result, usual, parse)
            only = over(result, counters, parse)
            rows.append(
                [case, f"{only:.1f}", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"]
            )
    return report.table(["ns a packet over parsing", COUNTERS, CACHE, HASH, "ratio"], rows)


def by_hook(results: dict[Case, list[list[float]]], compared: list[Program], hook: str) -> str:
    """A table of all programs at a hook."""
    numbers = [number for number, program in enumerate(compared) if program.hook == hook]
    header = [f"{hook.upper()}: ns over empty", *(compared[number].name for number in numbers)]
    return report.table(header, [[case, *cells(r, numbers)] for case, r in results.items()])


def cases(quick: bool) -> list[Case]:
    """Every combination, or a few. Frames are short: nothing reads what follows the headers."""
    if quick:
        return [Case(4, 64, 1000, False)]
    spreads = [(n, False) for n in (1, 1000, 8000, 65_000, 1_000_000)] + [(65_000, True)]
    return [Case(version, 64, n, z) for version, (n, z) in itertools.product((4, 6), spreads)]


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
    tables = [budgets(results, compared), *(by_hook(results, compared, hook) for hook in HOOKS)]
    entries = f"{chosen.flow_cache:,} entries a CPU in the flow cache"
    head = f"{report.machine()}; medians of {chosen.rounds} rounds in turn; {entries}."
    report.publish("datapath", "\n\n".join([head, *tables]), chosen.quick)


if __name__ == "__main__":
    main()
