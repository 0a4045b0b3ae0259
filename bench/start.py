"""Start, memory and idle cost: `python bench/start.py [--quick] [--against SRC]`, as root.

Each service runs in a namespace with veth pairs and without traffic, and nobody scrapes it while it
is idle. SRC is the PYTHONPATH of another checkout with built objects, run in turn with this one.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import memory
import pod
import report
from scrape import join, removed_by
from support.service.process import serving

PAIRS = {"1 interface": 1, "250 interfaces": 250}
ROUNDS, IDLE_SECONDS = 3, 30.0
QUICK_ROUNDS, QUICK_IDLE_SECONDS = 1, 1.0
SETTLED = 6.0  # seconds after which the first drain and the first checks are over
HERE = str(Path(__file__).resolve().parent.parent / "src")
HEADER = ("case", "first answer s", "start CPU s", "RSS MiB", "without BPF maps", "idle CPU s/min")


def run_time(pid: int) -> float:
    """Seconds that all threads of a process have run (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident(pid: int) -> tuple[float, float]:
    """MiB of a process that are in memory: all, and without the mapped BPF maps."""
    found = memory.mapped(pid)
    return found.total() / memory.MIB, (found.total() - found[memory.BPF_MAPS]) / memory.MIB


def run_once(pairs: int, source: str, idle: float) -> tuple[float, ...]:
    """Start a service, ask it once, and leave it idle; the figures are those of HEADER."""
    with contextlib.ExitStack() as stack:
        a, b = (removed_by(stack) for _ in range(2))
        join(a, b, pairs)
        environment = ("env", "-u", "PYTHONDONTWRITEBYTECODE", f"PYTHONPATH={source}")
        began = time.monotonic()
        service = stack.enter_context(serving(b, "--interfaces", "v*", prefix=environment))
        service.text()
        answered = time.monotonic() - began
        start = pod.cpu(service)
        time.sleep(min(SETTLED, idle))
        before, since = run_time(service.pid), time.monotonic()
        time.sleep(idle)
        share = (run_time(service.pid) - before) / (time.monotonic() - since)
        return answered, start, *resident(service.pid), share * 60


def rows(sources: Sequence[str], rounds: int, idle: float) -> list[tuple[str, ...]]:
    """Run every case of every source in turn; return the medians."""
    keys = [(case, source) for case in PAIRS for source in sources]
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {key: [] for key in keys}
    for _ in range(rounds):
        for case, source in keys:
            found[case, source].append(run_once(PAIRS[case], source, idle))
    return [
        (
            case if source == HERE else f"{case}, {source}",
            *(f"{statistics.median(x):.2f}" for x in zip(*found[case, source], strict=True)),
        )
        for case, source in keys
    ]


def main() -> None:
    """Measure, and publish the table unless it was a quick run or a comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    parser.add_argument("--against", metavar="SRC", help="PYTHONPATH of another, in turn")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sources = [HERE, options.against] if options.against else [HERE]
    rounds, idle = (QUICK_ROUNDS, QUICK_IDLE_SECONDS) if options.quick else (ROUNDS, IDLE_SECONDS)
    table = report.table(HEADER, rows(sources, rounds, idle))
    text = f"{report.machine()}; medians of {rounds} rounds in turn, {idle:.0f} s idle each."
    report.publish("start", f"{text}\n\n{table}", options.quick or len(sources) > 1)


if __name__ == "__main__":
    main()
