"""One program from several objects in turn, to tell a change of a nanosecond from noise.

Before a change `make -C bpf SRC=../bench/datapath.bpf.c OUT=/tmp/a.o`, after it the same with
`OUT=/tmp/b.o`, then `just bench-compare flow 1000 /tmp/a.o /tmp/b.o`.
"""

from __future__ import annotations

import argparse
import os
import statistics
from contextlib import ExitStack
from pathlib import Path

import flows
import report
from datapath import Case, configured, nanoseconds
from pktexp.bpf import libbpf
from pktexp.bpf.options import DatapathOptions

MODES = {
    "counters": DatapathOptions(slots=16, events=False),
    "packet": DatapathOptions(slots=16),
    "flow": DatapathOptions(slots=16, flow_cache=16384),
}
ROUNDS, RUNS = 200, 100_000


def measure(mode: str, number: int, objects: list[Path]) -> list[list[float]]:
    """Nanoseconds a packet, ROUNDS for each object."""
    lib, cpus = libbpf.find(), sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        programs = [
            stack.enter_context(configured(lib, path, path.name, MODES[mode], cpus[-1]))
            for path in objects
        ]
        os.sched_setaffinity(0, cpus[:1])
        frame = Case(4, 64, number, False).frame()
        for program in programs:
            program.sequence[:] = flows.order(number)
            nanoseconds(lib, program, frame, flows.SEQUENCE)
        rounds = [[nanoseconds(lib, p, frame, RUNS) for p in programs] for _ in range(ROUNDS)]
    return [list(times) for times in zip(*rounds, strict=True)]


def main() -> None:
    """Print medians, and the median of the differences from the first in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("flows", type=int)
    parser.add_argument("objects", type=Path, nargs="+")
    chosen = parser.parse_args()
    found = measure(chosen.mode, chosen.flows, chosen.objects)
    rows = [
        (
            path,
            f"{statistics.median(times):.1f}",
            f"{min(times):.1f}",
            f"{statistics.median(a - b for a, b in zip(times, found[0], strict=True)):+.1f}",
        )
        for path, times in zip(chosen.objects, found, strict=True)
    ]
    print(report.table(("ns a packet", "median", "min", "over the first"), rows))


if __name__ == "__main__":
    main()
