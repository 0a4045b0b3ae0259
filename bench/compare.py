"""One program from several objects in turn, to tell a change of a nanosecond from noise.

Build before a change and copy `src/pktexp/packet.bpf.o` to /tmp/a.o, after it to /tmp/b.o, then
run `just bench-compare flow 1000 /tmp/a.o /tmp/b.o`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import flows
import report
from datapath import Case, configured
from pick import HOOKS, SOURCE, nanoseconds
from pktexp.bpf import libbpf
from pktexp.bpf.options import DatapathOptions
from support.kernel.datapath import build

MODES = {
    "counters": DatapathOptions(slots=16, events=False),
    "packet": DatapathOptions(slots=16),
    "flow": DatapathOptions(slots=16, flow_cache=16384),
}
ROUNDS, RUNS = 200, 100_000


def measure(mode: str, case: Case, objects: list[Path], hook: str) -> list[list[float]]:
    """Nanoseconds a packet, ROUNDS for each object."""
    lib, cpus = libbpf.find(), sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        picker = build(SOURCE, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        found = [
            stack.enter_context(configured(lib, path, picker, path.name, MODES[mode], cpus[-1]))
            for path in objects
        ]
        programs = [next(p for p in both if p.hook == hook) for both in found]
        os.sched_setaffinity(0, cpus[:1])
        frame = case.frame()
        for program in programs:
            program.sequence[:] = flows.order(case.flows)
            nanoseconds(lib, program, frame, flows.SEQUENCE)
        rounds = [[nanoseconds(lib, p, frame, RUNS) for p in programs] for _ in range(ROUNDS)]
    return [list(times) for times in zip(*rounds, strict=True)]


def main() -> None:
    """Print medians, and the median of the differences from the first in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("flows", type=int)
    parser.add_argument("objects", type=Path, nargs="+")
    parser.add_argument("--hook", choices=HOOKS, default="tcx")
    parser.add_argument("--version", type=int, choices=(4, 6), default=4, help="of IP")
    chosen = parser.parse_args()
    case = Case(chosen.version, 64 if chosen.version == 4 else 84, chosen.flows, zipf=False)
    found = measure(chosen.mode, case, chosen.objects, chosen.hook)
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
