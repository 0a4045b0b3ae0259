"""Tries pktexp on many CPUs: `python -m machines.cpujob`, in the machine.

Writes $SHARE/cpus.json, for page.py: start, memory, idle cost, and counts against known sends,
also while CPUs go offline and come online.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machines import hotplug
from machines.cpucounts import CpuCounts
from support.netns.namespace import Namespace, connect, making
from support.service.process import Service, serving, total

INTERFACES = 20
IDLE = 30.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
EACH = 400  # packets of each CPU


@dataclass
class Job:
    """What is measured, and written as it is found."""

    share: Path
    sender: Namespace
    counter: Namespace
    frames: Sequence[bytes]
    results: dict[str, Any] = field(default_factory=dict)

    def record(self, name: str, value: object) -> None:
        """Write a figure."""
        self.results[name] = value
        print(name, json.dumps(value), flush=True)
        (self.share / "cpus.json").write_text(json.dumps(self.results, indent=2))

    @contextmanager
    def counting(self) -> Iterator[tuple[Service, CpuCounts]]:
        """Run a service that counts all interfaces, while the context is open."""
        with serving(self.counter, "--flows", "hosts") as service:
            service.wait_until_attached("vb")
            yield service, CpuCounts(service, self.sender, self.frames)

    def step(self, name: str, result: dict[str, Any]) -> None:
        """Write counts."""
        self.record("counts", self.results.get("counts", {}) | {name: result})


def main() -> None:
    """Measure a service, and what it counts while CPUs send."""
    share = Path(os.environ["SHARE"])
    plan = json.loads((share / "plan.json").read_text())
    subprocess.run(["modprobe", "-a", "veth", "dummy"], check=True)
    with making() as make:
        sender, counter = make(), make()
        connect(sender, counter, "va", "vb")
        for n in range(INTERFACES - 2):  # beside vb and lo
            counter.ip("link", "add", f"dummy{n}", "up", "type", "dummy")
        job = Job(share, sender, counter, [bytes.fromhex(frame) for frame in plan["frames"]])
        job.record("CPUs", len(hotplug.online()))
        measure(job)
        coming_and_going(job)
        some_at_the_start(job)


def measure(job: Job) -> None:
    """Measure start, memory and idle cost; count what each CPU sends."""
    before = available()
    with job.counting() as (service, counts):
        job.record("start", seconds(service.pid))
        job.record("memory", {"machine": before - available(), "process": service.resident()})
        job.record("log", [m for m in service.messages() if m.startswith("kernel memory")])
        spent, since = seconds(service.pid), time.monotonic()
        time.sleep(IDLE)
        job.record("idle", (seconds(service.pid) - spent) / (time.monotonic() - since))
        job.step("all CPUs send", counts.sent(hotplug.online(), EACH))
        job.record("drain", drain(service))


def coming_and_going(job: Job) -> None:
    """Count while CPUs go offline and come online."""
    *first, a, b, c, d = hotplug.online()
    late = [a, b, c, d]
    span = f"{a}-{d}"
    with job.counting() as (_, counts):
        down, up = (
            (lambda: hotplug.put(late, online=False)),
            (lambda: hotplug.put(late, online=True)),
        )
        job.step(f"{span} go offline while all send", counts.sent([*first, *late], 2 * EACH, down))
        job.step(f"the others send, {span} are offline", counts.sent(first, EACH))
        job.step(f"{span} come online while the others send", counts.sent(first, 2 * EACH, up))
        job.step(f"{span} send", counts.sent(late, EACH))
        job.step(
            f"1 and {a} go and come twice while others send",
            counts.sent([0, 2, 3, b], 2 * EACH, lambda: hotplug.toggle([1, a])),
        )


def some_at_the_start(job: Job) -> None:
    """Count where CPUs between others are offline at the start, and come online."""
    others = [1, 2, 4, 5, 6]
    hotplug.put(others, online=False)
    with job.counting() as (_, counts):
        few = hotplug.online()
        job.step("started without 1, 2, 4, 5, 6: the others send", counts.sent(few, EACH))
        up = lambda: hotplug.put(others, online=True)  # noqa: E731
        job.step("these come online while the others send", counts.sent(few, 2 * EACH, up))
        job.step("then all send", counts.sent(hotplug.online(), EACH))


def seconds(pid: int) -> float:
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def available() -> int:
    """Return the memory that the machine has left, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def drain(service: Service) -> float:
    """Return the mean time of a drain of the flow cache, in seconds."""
    page, name = service.page(), "pktexp_flow_cache_drain_seconds_total"
    spent = sum(value for (each, _), value in page.items() if each == name)
    return spent / max(1, total(page, "pktexp_flow_cache_drains_total"))


if __name__ == "__main__":
    main()
