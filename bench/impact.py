"""What attaching costs the traffic itself: TCP throughput and latency through a veth pair.

As root: `PYTHONPATH=tests:bench .venv/bin/python bench/impact.py`. Compares nothing attached, an
empty program alone at each hook, and pktexp, in turn, in namespaces of its own. Needs iperf3, two
CPUs and, for tcx, Linux 6.6. The server's end of the pair is the one that is attached to.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import report
from attaching import attached
from pktexp.bpf import libbpf
from pktexp.bpf.cgroups import CgroupPrograms
from pktexp.bpf.object import BpfObject
from pktexp.units import hierarchy
from support.kernel.datapath import build
from support.netns.namespace import Namespace, connect
from support.patience import PATIENCE
from support.service.process import serving

SOURCE = Path(__file__).with_suffix(".bpf.c")
MTU = 1500
SENDING, RECEIVING = "va", "vb"  # the ends of the veth pair
CLIENT, SERVER = "10.99.0.1", "10.99.0.2"
CLIENT_CPU, SERVER_CPU = 0, 1
PORT = 7
REQUEST = bytes(64)
FULL = {"rounds": 10, "seconds": 2, "requests": 20_000}
QUICK = {"rounds": 1, "seconds": 1, "requests": 100}

PROGRAMS = {"xdp-native": "pass_xdp", "xdp-generic": "pass_xdp", "tcx-ingress": "pass_tcx"}
SERVICES = (
    ("--flows", "off"),
    ("--events", "packet"),
    ("--no-egress",),
    ("--ingress", "xdp-generic"),
    ("--ingress", "xdp-native"),
    (),
)
HEADER = ("case", "hook", "TCP Gbit/s", "min-max", "ratio", "latency µs", "p99 µs", "ratio")


@dataclass
class Case:
    """Something to attach, and what was measured with it."""

    name: str
    attach: Callable[[], AbstractContextManager[str]]
    """attaches for as long as its body runs; gives the hook"""
    hook: str = ""
    rounds: list[tuple[float, float, float]] = field(default_factory=list)
    """Gbit/s; median and 99th percentile of the latency in microseconds"""

    def figures(self) -> list[float]:
        """The medians of the rounds."""
        return [statistics.median(column) for column in zip(*self.rounds, strict=True)]


@contextmanager
def loaded() -> Iterator[BpfObject]:
    """The empty programs."""
    with tempfile.TemporaryDirectory() as folder:
        built = build(SOURCE, Path(folder))
        with closing(BpfObject(libbpf.find(), built)) as programs:
            programs.load(["pass_xdp"])
            yield programs


@contextmanager
def joined() -> Iterator[tuple[Namespace, Namespace]]:
    """The client's and the server's namespace, with addresses."""
    with ExitStack() as stack:
        pair = []
        for _ in range(2):
            pair.append(Namespace())
            stack.callback(pair[-1].remove)
            # Else a connection would begin with what the kernel learned from the case before.
            pair[-1].run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        client, server = pair
        connect(client, server, SENDING, RECEIVING, MTU)
        client.ip("address", "add", f"{CLIENT}/24", "dev", SENDING)
        server.ip("address", "add", f"{SERVER}/24", "dev", RECEIVING)
        yield client, server


@contextmanager
def counted(server: Namespace, *options: str) -> Iterator[str]:
    """Attach pktexp to every interface of the server's namespace."""
    with serving(server, *options) as service:
        yield service.wait_until_attached(RECEIVING)


@contextmanager
def by_cgroup() -> Iterator[str]:
    """Attach the programs that count by cgroup, which see both ends."""
    with closing(CgroupPrograms(libbpf.find(), 256)) as programs:
        programs.attach(hierarchy.find())
        yield "cgroup2"


def throughput(client: Namespace, server: Namespace, seconds: int) -> float:
    """Gbit/s of one TCP stream to the server, as received."""
    listen = server.command("taskset", "-c", str(SERVER_CPU), "iperf3", "-s", "-1", "--forceflush")
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(listen, stdout=subprocess.PIPE, text=True))
        stack.callback(process.terminate)
        assert any("listening" in line for line in process.stdout or ()), "iperf3 does not listen"
        send = ("taskset", "-c", str(CLIENT_CPU), "iperf3", "-c", SERVER, "-J", "-t", str(seconds))
        found = json.loads(client.run(*send))
        process.wait(PATIENCE)  # it ends by itself; terminated only if the client failed
    return float(found["end"]["sum_received"]["bits_per_second"]) / 1e9


def echo(listener: socket.socket) -> None:
    """Send back what comes, one connection after the other."""
    os.sched_setaffinity(0, {SERVER_CPU})
    while True:
        with listener.accept()[0] as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := peer.recv(len(REQUEST), socket.MSG_WAITALL):
                peer.sendall(request)


@contextmanager
def echoing(server: Namespace) -> Iterator[None]:
    """A process that runs echo() in the server's namespace."""
    with server.entered():
        listener = socket.create_server((SERVER, PORT))
    process = multiprocessing.get_context("fork").Process(target=echo, args=(listener,))
    with listener:
        process.start()
        try:
            yield
        finally:
            process.kill()
            process.join()


def round_trips(client: Namespace, requests: int) -> list[float]:
    """Microseconds from each request to its response."""
    cpus = os.sched_getaffinity(0)
    with client.entered(), ExitStack() as stack:
        peer = stack.enter_context(socket.create_connection((SERVER, PORT)))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stack.callback(os.sched_setaffinity, 0, cpus)
        os.sched_setaffinity(0, {CLIENT_CPU})
        return [round_trip(peer) for _ in range(requests)]


def round_trip(peer: socket.socket) -> float:
    """Microseconds from a request to its response."""
    start = time.perf_counter_ns()
    peer.sendall(REQUEST)
    peer.recv(len(REQUEST), socket.MSG_WAITALL)
    return (time.perf_counter_ns() - start) / 1e3


def measure(
    cases: list[Case], client: Namespace, server: Namespace, options: argparse.Namespace
) -> None:
    """Measure every case once a round; shuffled, so that none always follows the same other."""
    for number in range(options.rounds):
        for case in random.Random(number).sample(cases, len(cases)):
            with case.attach() as case.hook:
                gigabits = throughput(client, server, options.seconds)
                times = round_trips(client, options.requests)
            p99 = statistics.quantiles(times, n=100)[98]
            case.rounds.append((gigabits, statistics.median(times), p99))


def row(case: Case, base: Case) -> list[str]:
    """A line of the table; `base` is the case that the ratios refer to."""
    (tcp, latency, p99), (base_tcp, base_latency, _) = case.figures(), base.figures()
    seen = [gigabits for gigabits, _, _ in case.rounds]
    span = f"{min(seen):.2f}-{max(seen):.2f}"
    throughput_cells = [f"{tcp:.2f}", span, f"{tcp / base_tcp:.2f}"]
    latency_cells = [f"{latency:.1f}", f"{p99:.1f}", f"{latency / base_latency:.2f}"]
    return [case.name, case.hook, *throughput_cells, *latency_cells]


def text(cases: list[Case], options: argparse.Namespace) -> str:
    """What was done, and the table."""
    done = (
        f"{report.machine()}. Rounds, in turn: {options.rounds}, through a veth pair of MTU {MTU}; "
        f"in each iperf3, one stream for {options.seconds} s, then {options.requests} requests "
        f"and responses of {len(REQUEST)} bytes over TCP. Client on CPU {CLIENT_CPU}, server on "
        f"CPU {SERVER_CPU}. Medians of the rounds; ratios to nothing attached."
    )
    return f"{done}\n\n{report.table(HEADER, [row(case, cases[0]) for case in cases])}"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: print, publish nothing")
    for name, default in FULL.items():
        meaning = f"default {default}, with --quick {QUICK[name]}"
        parser.add_argument(f"--{name}", type=int, metavar="N", help=meaning)
    parser.set_defaults(**QUICK if "--quick" in sys.argv else FULL)
    return parser.parse_args()


def all_cases(programs: BpfObject, server: Namespace) -> list[Case]:
    """What is compared; the first is what the others are compared with."""
    empty = [
        Case("empty program", partial(attached, server, RECEIVING, hook, programs.program_fd(name)))
        for hook, name in PROGRAMS.items()
    ]
    services = [Case(" ".join(("pktexp", *x)), partial(counted, server, *x)) for x in SERVICES]
    cgroups = Case("programs at cgroups", by_cgroup)
    return [Case("nothing attached", lambda: nullcontext("none")), *empty, cgroups, *services]


def main() -> None:
    """Measure, and print or publish the table."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    with loaded() as programs, joined() as (client, server), echoing(server):
        cases = all_cases(programs, server)
        measure(cases, client, server, options)
    report.publish("impact", text(cases, options), options.quick)


if __name__ == "__main__":
    main()
