"""How long it takes to wait for running programs, in three ways; run it with `just bench-grace`."""

from __future__ import annotations

import argparse
import ctypes as c
import statistics
import time
from collections.abc import Callable
from functools import partial

import report
from pktexp.bpf import libbpf, softirqs
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.options import DatapathOptions

# From include/uapi/linux/membarrier.h and asm/unistd_64.h: the C library has no function for it.
MEMBARRIER_CMD_GLOBAL = 1
SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
PAUSE = 0.01  # seconds, so that one wait does not begin where another's grace period ended


def membarrier(number: int) -> None:
    """Ask for a grace period of RCU; OSError where it is refused."""
    library = c.CDLL(None, use_errno=True)
    if library.syscall(number, MEMBARRIER_CMD_GLOBAL, 0, 0):
        raise OSError(c.get_errno(), "membarrier")


def milliseconds(wait: Callable[[], object]) -> float:
    """One wait."""
    time.sleep(PAUSE)
    started = time.perf_counter()
    wait()
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    """Wait in turn, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a few rounds; publishes nothing")
    chosen = parser.parse_args()
    rounds = 3 if chosen.quick else chosen.rounds
    datapath = Datapath(libbpf.find(), DatapathOptions(slots=16, flow_cache=64))
    assert datapath.flow_cache
    waits: dict[str, Callable[[], object]] = {
        "membarrier": partial(membarrier, SYS_MEMBARRIER[report.architecture()]),
        "update of a map of maps": datapath.wait_for_grace,
        "visits of the CPUs": softirqs.visit_all,
    }
    found: dict[str, list[float]] = {name: [] for name in waits}
    for _ in range(rounds):
        for name, wait in waits.items():
            found[name].append(milliseconds(wait))
    datapath.close()
    rows = [
        (name, f"{statistics.median(x):.1f}", f"{min(x):.1f}", f"{max(x):.1f}")
        for name, x in found.items()
    ]
    table = report.table(("wait", "median ms", "min", "max"), rows)
    text = f"{report.machine()}; {rounds} rounds in turn.\n\n{table}"
    report.publish("grace", text, chosen.quick)


if __name__ == "__main__":
    main()
