"""What the memory of a service is: `python bench/memory.py [--quick]`, as root.

A service counts an interface with 1,000 flows and is scraped. The first table is what the kernel
has in memory for it (proc(5), smaps); the second what Python code has allocated, by tracemalloc, in
a second service, as tracing takes memory itself.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import report
from scrape import Case, frames, join, removed_by
from support.patience import wait_for
from support.service.process import Service, serving

CASE = Case("1,000 flows", 1, 1_000)
SCRAPES, QUICK_SCRAPES = 50, 2
SHOWN = 12  # parts of a table; the others are summed
MIB = 1 << 20
BPF_MAPS = "BPF maps, which the kernel has anyway"
# Python runs a module of this name at its start.
TRACER = """
import signal, tracemalloc
tracemalloc.start()
def tell(*_):
    found = tracemalloc.take_snapshot().statistics("filename")
    lines = [f"{each.size} {each.traceback[0].filename}\\n" for each in found]
    open(%r, "w").write("".join(lines) + "end\\n")
signal.signal(signal.SIGUSR2, tell)
"""


def scraped(stack: contextlib.ExitStack, scrapes: int, *prefix: str) -> Service:
    """Return a service that has counted the flows, and has been scraped."""
    a, b = (removed_by(stack) for _ in range(2))
    join(a, b, CASE.interfaces)
    service = stack.enter_context(serving(b, "--interfaces", "v*", prefix=prefix))
    service.wait_until_attached("v0")
    a.send("v0", list(frames(CASE.flows)))
    wait_for(lambda: CASE.shown(service.text()))
    for _ in range(scrapes):
        service.text()
    return service


def mapped(pid: int) -> Counter[str]:
    """Return bytes of a process that are in memory, by what is mapped there."""
    found: Counter[str] = Counter()
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-)", Path(f"/proc/{pid}/smaps").read_text()):
        if resident := re.search(r"(?m)^Rss: +(\d+) kB", mapping):
            name = " ".join(mapping.partition("\n")[0].split()[5:])
            found[kind(name)] += int(resident[1]) << 10
    return found


def kind(name: str) -> str:
    """Return what a mapping's name stands for."""
    if "bpf-map" in name:
        return BPF_MAPS
    if not name or name.startswith("["):
        return "heap, stacks and Python's objects"
    return f"{package(name)} (library)" if ".so" in name else Path(name).name


def package(file: str) -> str:
    """Return the package that a file belongs to; of pktexp also the part."""
    if found := re.search(r"/pktexp/(\w+)", file):
        return f"pktexp.{found[1]}"
    if found := re.search(r"-packages/([\w-]+)", file):
        return found[1].partition(".")[0]
    if file.startswith("<frozen"):
        return "code of modules"
    return "standard library" if "/python3" in file else Path(file).name.partition(".so")[0]


def traced(scrapes: int) -> Counter[str]:
    """Return bytes that Python code has allocated, by package."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        told = folder / "told"
        (folder / "sitecustomize.py").write_text(TRACER % str(told))
        own = str(Path(__file__).resolve().parent.parent / "src")
        service = scraped(stack, scrapes, "env", f"PYTHONPATH={folder}:{own}")
        service.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: told.exists() and told.read_text().endswith("end\n"))
        found: Counter[str] = Counter()
        for line in told.read_text().splitlines()[:-1]:
            size, file = line.split(" ", 1)
            found[package(file)] += int(size)
        return found


def table(what: str, found: Counter[str]) -> str:
    """Return the largest parts, the sum of the others, and the sum of all."""
    largest = found.most_common(SHOWN)
    others = found.total() - sum(size for _, size in largest)
    rows: Sequence[tuple[str, int]] = [*largest, ("others", others), ("sum", found.total())]
    return report.table((what, "MiB"), [(name, f"{size / MIB:.1f}") for name, size in rows])


def main() -> None:
    """Measure, and publish both tables unless it was a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few scrapes: publishes nothing")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scrapes = QUICK_SCRAPES if options.quick else SCRAPES
    with contextlib.ExitStack() as stack:
        resident = table("in memory", mapped(scraped(stack, scrapes).pid))
    allocated = table("allocated by Python code", traced(scrapes))
    text = f"{report.machine()}; 1 interface, 1,000 flows, after {scrapes} scrapes."
    report.publish("memory", f"{text}\n\n{resident}\n\n{allocated}", options.quick)


if __name__ == "__main__":
    main()
