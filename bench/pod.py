"""What a pod with pktexp takes of memory and CPU: `python bench/pod.py [--quick]`, as root.

Cases are made as in scrape.py, with the options of the manifests (deploy/kubernetes): moderate
traffic, and a scrape every 15 seconds. A container's limit counts the process's own memory, what
the kernel takes for BPF maps and programs, and pages of the files that it was first to read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import report
from scrape import Case, frames, join, received, removed_by
from support.patience import wait_for
from support.service.process import Service, serving

SECONDS, QUICK_SECONDS = 120, 2
SCRAPE_EVERY = 15  # seconds
PAUSE = 0.05  # seconds between two rounds of frames, one of each flow
TICKS = os.sysconf("SC_CLK_TCK")
HEADER = (
    "case",
    "packets/s",
    "CPU %",
    "start CPU s",
    "process MB",
    "files MB",
    "BPF MB",
    "page KiB",
)
CASES = {
    Case("node, 250 interfaces, 1,000 flows", 250, 1_000): (),
    Case("node, 500 interfaces, 1,000 flows", 500, 1_000): (),
    Case("sidecar, 1 interface, 1,000 flows", 1, 1_000): (
        *("--max-interfaces", "16"),
        *("--flow-cache", "4MiB"),
        *("--ring-size", str(1 << 20)),
    ),
}


@dataclass(frozen=True)
class Memory:
    """Bytes of a process by what they are for."""

    anonymous: int
    files: int
    bpf: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """From proc(5): smaps, and fdinfo of BPF objects, where `memlock` is what they take."""
        anonymous = files = 0
        for mapping in re.split(r"(?m)^(?=[0-9a-f]+-)", Path(f"/proc/{pid}/smaps").read_text()):
            first, _, fields = mapping.partition("\n")
            amounts = dict(re.findall(r"(\w+): +(\d+) kB", fields))
            anonymous += int(amounts.get("Anonymous", 0)) << 10
            if " /" in first:
                files += int(amounts["Rss"]) - int(amounts["Anonymous"]) << 10
        return cls(anonymous, files, sum(bpf_objects(pid).values()))


def bpf_objects(pid: int) -> dict[str, int]:
    """Bytes of every map and program that the process has open, by kind and id."""
    found = {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:  # closed meanwhile
            continue
        fields = dict(re.findall(r"(?m)^(\w+):\t(\S+)", text))
        if "memlock" in fields:
            kind = "map_id" if "map_id" in fields else "prog_id"
            found[f"{kind} {fields[kind]}"] = int(fields["memlock"])
    return found


def cpu(service: Service) -> float:
    """Seconds of CPU so far, user and system (proc(5), stat)."""
    fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run_case(case: Case, options: Sequence[str], seconds: float) -> tuple[str, ...]:
    """A row as in HEADER."""
    with contextlib.ExitStack() as stack:
        a, b = (removed_by(stack) for _ in range(2))
        join(a, b, case.interfaces)
        service = stack.enter_context(serving(b, "--interfaces", "v*", *options))
        start, sent = cpu(service), frames(case.flows)
        sender = stack.enter_context(a.packet_socket("v0"))

        def shown() -> bool:
            send(sender, sent)
            return case.shown(service.text())

        wait_for(shown)
        rate, share, size = live(service, sender, sent, seconds)
        memory = Memory.of(service.pid)
    figures = (start, memory.anonymous / 1e6, memory.files / 1e6, memory.bpf / 1e6, size / 1024)
    return case.name, f"{rate:,.0f}", f"{share * 100:.2f}", *(f"{x:.1f}" for x in figures)


def send(sender: socket.socket, sent: Sequence[bytes]) -> None:
    """One frame of each flow."""
    for frame in sent:
        sender.send(frame)


def live(
    service: Service, sender: socket.socket, sent: Sequence[bytes], seconds: float
) -> tuple[float, float, int]:
    """Packets a second, CPUs in use, and the page's bytes."""
    packets, used, began = received(service), cpu(service), time.monotonic()
    due, size = began, 0
    while time.monotonic() < began + seconds:
        send(sender, sent)
        if time.monotonic() >= due:
            size, due = len(service.text()), due + SCRAPE_EVERY
        time.sleep(PAUSE)
    took = time.monotonic() - began
    return (received(service) - packets) / took, (cpu(service) - used) / took, size


def main() -> None:
    """Measure every case, and publish the table unless it was a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    quick = parser.parse_args().quick
    # SIGTERM as Ctrl-C, so that every `with` cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cases = list(CASES.items())[-1:] if quick else CASES.items()
    seconds = QUICK_SECONDS if quick else SECONDS
    rows = [run_case(case, options, seconds) for case, options in cases]
    text = f"{report.machine()}; {seconds} s a row, a scrape every {SCRAPE_EVERY} s."
    report.publish("pod", f"{text}\n\n{report.table(HEADER, rows)}", quick)


if __name__ == "__main__":
    main()
