"""What pktexp keeps up with, and what it costs a packet; run it with `just bench-throughput`.

Frames made in the kernel (throughput.bpf.c) go through a veth into the namespace where pktexp
counts. The sender keeps one CPU; pktexp has the others. What the kernel's side costs is what the
sender's CPU takes more for a packet than with an empty program in pktexp's place.
"""

from __future__ import annotations

import argparse
import ctypes as c
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from scapy.layers.inet import IP, UDP

import flows
import merging
import report
from attaching import attached
from pktexp.bpf import libbpf
from pktexp.bpf.libbpf import TestRunOpts
from pktexp.bpf.object import BpfObject
from support.kernel.datapath import build
from support.netns.namespace import Namespace, connect
from support.packets.cases import ETHER
from support.service.process import Service, serving, total

SOURCE = Path(__file__).with_suffix(".bpf.c")
LIVE_FRAMES = 1 << 1  # BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18
BATCH = 64  # frames sent at a time; a veth's queue has room for 256
CHUNK = 1 << 14  # frames for which the sender stays in the kernel
CPUS = os.sched_getaffinity(0)
SENDER_CPU = {min(CPUS)}
TICKS = os.sysconf("SC_CLK_TCK")
FRAME = bytes(ETHER / IP(dst="10.0.0.1") / UDP(sport=1, dport=2) / bytes(22))
HEADER = (
    "what counts",
    "flows",
    "asked Mpps",
    "sent Mpps",
    "counted - kernel's",
    "lost",
    "kernel ns",
    "user ns",
    "whole ns",
    "RSS MB",
)


class Sender:
    """Sends frames of many flows out of `va` of a namespace, from this thread."""

    def __init__(self, a: Namespace, sender: BpfObject, frame: bytes = FRAME) -> None:
        self._lib, self._namespace = libbpf.find(), a
        self._fd = sender.program_fd("send_out")
        self._sequence = flows.view(sender)
        self._data = c.create_string_buffer(frame, len(frame))

    def send(self, count: int) -> None:
        """So many frames."""
        options = TestRunOpts(sz=c.sizeof(TestRunOpts), repeat=count, flags=LIVE_FRAMES)
        options.batch_size, options.data_size_in = BATCH, len(self._data)
        options.data_in = c.addressof(self._data)
        self._lib("send", "bpf_prog_test_run_opts", self._fd, c.byref(options))

    def run(self, number: int, rate: float, seconds: float) -> tuple[int, float, float]:
        """(frames, seconds, seconds of CPU) at a rate a second, of so many flows."""
        self._sequence[:] = flows.order(number)
        with self._namespace.entered():
            begun, cpu, sent = time.perf_counter(), time.thread_time(), 0
            while (passed := time.perf_counter() - begun) < seconds:
                if sent < rate * passed:
                    self.send(CHUNK)
                    sent += CHUNK
                else:
                    time.sleep(CHUNK / rate / 4)
            return sent, passed, time.thread_time() - cpu


@dataclass
class Case:
    """Something that counts, or nothing, and its runs."""

    name: str
    attach: Callable[[], AbstractContextManager[Service | str]]
    flows: int
    rate: float
    runs: list[Run] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What one run of the sender gave; CPU in seconds."""

    sent: int
    seconds: float
    sender_cpu: float
    service_cpu: float = 0
    difference: int = 0
    lost: float = 0
    rss: int = 0

    @property
    def rate(self) -> float:
        """Million packets a second."""
        return self.sent / self.seconds / 1e6

    @property
    def kernel_ns(self) -> float:
        """A packet's time on the sender's CPU."""
        return self.sender_cpu / self.sent * 1e9

    @property
    def user_ns(self) -> float:
        """A packet's time in the process of pktexp, user and system."""
        return self.service_cpu / self.sent * 1e9


@contextmanager
def prepared() -> Iterator[tuple[Namespace, Namespace, BpfObject]]:
    """Two namespaces joined by a veth, and the sender's programs."""
    with ExitStack() as stack:
        a, b = Namespace(), Namespace()
        stack.callback(b.remove)
        stack.callback(a.remove)
        connect(a, b, "va", "vb")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sender = stack.enter_context(closing(BpfObject(libbpf.find(), build(SOURCE, folder))))
        with a.entered():
            out = socket.if_nametoindex("va")
        sender.set_constants(".rodata.out", np.uint32(out).tobytes())
        sender.load(["send_out"])
        yield a, b, sender


@contextmanager
def counting(b: Namespace, *options: str) -> Iterator[Service]:
    """Pktexp on the receiving end, at the hook that redirected frames reach."""
    with serving(b, "--interfaces", "vb", "--ingress", "xdp-native", *options) as service:
        service.wait_until_attached("vb")
        yield service


def service_cpu(service: Service) -> float:
    """Seconds of CPU so far, user and system."""
    fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(service: Service) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{service.pid}/statm").read_text().split()[1]) * os.sysconf(
        "SC_PAGESIZE"
    )


def measure(case: Case, sender: Sender, b: Namespace, seconds: float) -> Run:
    """One run of the sender, and the accounts afterwards."""
    with case.attach() as service:
        os.sched_setaffinity(0, SENDER_CPU)
        sender.run(case.flows, case.rate, seconds)  # the cache and the table of flows fill
        if isinstance(service, str):  # a hook
            return Run(*sender.run(case.flows, case.rate, seconds))
        received = b.statistics("vb")[0]
        before, cpu = service.page(), service_cpu(service)
        sent = sender.run(case.flows, case.rate, seconds)
        cpu, memory = service_cpu(service) - cpu, rss(service)
        received = b.statistics("vb")[0] - received
        after = service.page()

    def grown(name: str) -> int:
        site = {"interface": "vb", "direction": "ingress"}
        return total(after, name, **site) - total(before, name, **site)

    lost = grown("pktexp_event_lost_packets_total") / received
    difference = grown("pktexp_packets_total") - received
    return Run(*sent, cpu, difference, lost, memory)


def row(case: Case, base: Case) -> list[object]:
    """Medians; the kernel's time over the base's at the same rate."""

    def median(read: Callable[[Run], float]) -> float:
        return statistics.median(read(run) for run in case.runs)

    asked = f"{case.rate / 1e6:g}" if case.rate < float("inf") else "all"
    first = [case.name, f"{case.flows:,}", asked, f"{median(lambda r: r.rate):.2f}"]
    if case is base:
        return [*first, "", "", f"({median(lambda r: r.kernel_ns):.0f})", "", "", ""]
    pairs = list(zip(case.runs, base.runs, strict=True))
    kernel = statistics.median(run.kernel_ns - other.kernel_ns for run, other in pairs)
    user = median(lambda r: r.user_ns)
    differences = max((run.difference for run in case.runs), key=abs)
    accounts = [differences, f"{median(lambda r: r.lost):.2%}"]
    costs = [f"{kernel:.0f}", f"{user:.0f}", f"{kernel + user:.0f}"]
    return [*first, *accounts, *costs, f"{max(r.rss for r in case.runs) / 1e6:.0f}"]


def flood(sender: Sender, b: Namespace, seconds: int) -> str:
    """Memory while nearly every packet belongs to another flow, for so many seconds."""
    os.sched_setaffinity(0, CPUS)
    sizes, sent = [], 0
    with counting(b) as service:
        os.sched_setaffinity(0, SENDER_CPU)
        for _ in range(seconds):
            sent += sender.run(1_000_000, float("inf"), 1)[0]
            service.page()
            sizes.append(rss(service) / 1e6)
    return (
        f"{sent / 1e6:.0f} million packets of 1,000,000 random flows in {seconds} s, a scrape a "
        f"second: RSS {sizes[0]:.0f} MB after the first second, {sizes[-1]:.0f} MB after the last, "
        f"never more than {max(sizes):.0f} MB."
    )


def main() -> None:
    """Measure every case in each round, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--flood", type=int, default=60, help="seconds of random flows")
    parser.add_argument("--quick", action="store_true", help="one short round; publishes nothing")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.seconds, chosen.flood = 1, 0.2, 2
    modes = (("--flows", "off"), ("--events", "packet"), ("--events", "flow"))
    with prepared() as (a, b, programs):
        sender = Sender(a, programs)
        loads = [(1000, 1e5), (1000, 3e5), (1000, float("inf")), (65_000, float("inf"))]
        bases, cases = [], []
        empty = partial(attached, b, "vb", "xdp-native", programs.program_fd("pass"))
        for number, rate in loads if not chosen.quick else loads[2:3]:
            base = Case("an empty program", empty, number, rate)
            found = [
                Case(f"pktexp {' '.join(m)}", partial(counting, b, *m), number, rate) for m in modes
            ]
            cases += [base, *found]
            bases += [base] * (1 + len(found))
        for _ in range(chosen.rounds):
            for case in cases:
                os.sched_setaffinity(0, CPUS)  # what is started now may run everywhere
                case.runs.append(measure(case, sender, b, chosen.seconds))
        flooded = flood(sender, b, chosen.flood)
    rows = [row(case, base) for case, base in zip(cases, bases, strict=True)]
    how = f"medians of {chosen.rounds} rounds in turn, {chosen.seconds} s each, 64-byte frames"
    tables = f"{report.table(HEADER, rows)}\n\n{merging.table()}"
    text = f"{report.machine()}; {how}.\n\n{tables}\n\n{flooded}"
    report.publish("throughput", text, chosen.quick)


if __name__ == "__main__":
    main()
