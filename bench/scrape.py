"""What a scrape takes, and what others wait meanwhile: `python bench/scrape.py [--quick]`, as root.

Every case is a service in a namespace, joined to another namespace by veth pairs; over the first
pair come frames of as many addresses as flows are wanted. Each is scraped idle and under load.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import http.client
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

import report
import writing
from support.netns.namespace import Namespace
from support.packets.cases import ETHER
from support.patience import PATIENCE, wait_for
from support.service.process import Service, serving

FLOWS = (100, 1_000, 10_000)  # on one interface
INTERFACES = (10, 250, 1_000)  # with so many flows on the first of them:
FLOWS_BESIDE = 1_000
QUICK_SCRAPES = 10
LENGTH = 60  # bytes of a frame
SPACING = 0.05  # seconds between scrapes
PAUSE = 0.005  # seconds between questions to /healthz
FIRST_SOURCE = IPv4Address("198.18.0.1")  # of the network for benchmarks, RFC 2544
HEADER = ("case", "load", "median ms", "p99 ms", "KiB", "gzip KiB", "longest /healthz ms")

FORK = get_context("fork")  # children share this process's frames and sockets


@dataclass(frozen=True)
class Case:
    """What a service is to show."""

    name: str
    interfaces: int
    flows: int

    def shown(self, page: str) -> bool:
        """Whether the page shows all of it, and every interface's hook at ingress."""
        lines = page.splitlines()
        attached = [x for x in lines if x.startswith("pktexp_interface_attached{")]
        hooked = [x for x in attached if 'hook="tcx-ingress"' in x]
        flows = [x for x in lines if x.startswith("pktexp_flow_packets_total{")]
        named = [x for x in flows if 'source="other"' not in x]
        return (len(hooked), len(named)) == (self.interfaces, self.flows)


@dataclass(frozen=True)
class Figures:
    """Of one row: times in seconds, sizes in bytes, and packets a second."""

    times: list[float]
    size: int
    packed: int
    longest: float
    rate: float

    def cells(self) -> tuple[str, ...]:
        """As in HEADER."""
        p99 = statistics.quantiles(self.times, n=100, method="inclusive")[98]
        median = statistics.median(self.times)
        milliseconds = [seconds * 1000 for seconds in (median, p99, self.longest)]
        kib = [size / 1024 for size in (self.size, self.packed)]
        return tuple(f"{x:.1f}" for x in (*milliseconds[:2], *kib, milliseconds[2]))


def cases(quick: bool) -> list[Case]:
    """In the order of the table."""
    wanted = 1 if quick else None
    flows = [Case(f"{n:,} flows", 1, n) for n in FLOWS[:wanted]]
    interfaces = [Case(f"{n:,} interfaces", n, FLOWS_BESIDE) for n in INTERFACES[:wanted]]
    return flows + interfaces


def frames(count: int) -> list[bytes]:
    """UDP over IPv4, each from another address, to nobody: what receives them drops them."""
    rest = UDP(sport=1234, dport=9) / Raw(bytes(LENGTH - 42))
    sources = [str(FIRST_SOURCE + i) for i in range(count)]
    return [bytes(ETHER / IP(src=source, dst="192.0.2.2") / rest) for source in sources]


def removed_by(stack: contextlib.ExitStack) -> Namespace:
    """A new namespace."""
    namespace = Namespace()
    stack.callback(namespace.remove)
    return namespace


def join(a: Namespace, b: Namespace, count: int) -> None:
    """Pairs `v0`, `v1`, ..., named alike at both ends, and up."""
    add = f"link add v{{0}} type veth peer name v{{0}} netns {b.name}\n"
    up = "link set v{0} up\n"
    for namespace, line in ((a, add), (a, up), (b, up)):
        batch = "".join(line.format(i) for i in range(count))
        command = namespace.command("ip", "-batch", "-")  # one for all, as there may be many
        subprocess.run(command, input=batch, text=True, check=True)


def connection(service: Service) -> http.client.HTTPConnection:
    """Open, and kept alive."""
    opened = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=PATIENCE)
    with service.namespace.entered():
        opened.connect()
    return opened


def ask(opened: http.client.HTTPConnection, path: str, encoding: str) -> tuple[float, int]:
    """Seconds until the whole answer was there, and its body's bytes."""
    started = time.perf_counter()
    opened.request("GET", path, headers={"Accept-Encoding": encoding})
    answer = opened.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - started
    assert answer.status == http.client.OK, f"{path}: {answer.status}"
    return seconds, len(body)


def scrape(opened: http.client.HTTPConnection) -> tuple[float, int]:
    """As `ask`, some time after the one before."""
    time.sleep(SPACING)
    return ask(opened, "/metrics", "identity")


def flood(sender: socket.socket, sent: Sequence[bytes]) -> None:
    """Send it over and over, from one CPU, until killed or left alone."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    parent = os.getppid()
    while os.getppid() == parent:
        for frame in sent:
            try:
                sender.send(frame)
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # which is a full queue: as fast as it can be
                    raise


def probe(service: Service, stop: Event, longest: Synchronized[float]) -> None:
    """Keep asking /healthz."""
    opened = connection(service)
    while not stop.is_set():
        longest.value = max(longest.value, ask(opened, "/healthz", "identity")[0])
        time.sleep(PAUSE)


@contextlib.contextmanager
def running(target: Callable[..., None], *arguments: object) -> Iterator[ForkProcess]:
    """A process of its own beside the body, so that neither waits for the other's Python."""
    process = FORK.Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
        assert not process.exitcode, f"{target} failed"
    finally:
        process.kill()
        process.join()


def measure(service: Service, scrapes: int) -> Figures:
    """Scrape it one time after another, with /healthz asked meanwhile."""
    stop, longest = FORK.Event(), FORK.Value("d")
    with contextlib.closing(connection(service)) as opened:
        with running(probe, service, stop, longest) as prober:
            before, started = received(service), time.perf_counter()
            answers = [scrape(opened) for _ in range(scrapes)]
            rate = (received(service) - before) / (time.perf_counter() - started)
            stop.set()
            prober.join()
        packed = ask(opened, "/metrics", "gzip")[1]
    return Figures([seconds for seconds, _ in answers], answers[-1][1], packed, longest.value, rate)


def received(service: Service) -> int:
    """Packets that came over the first pair, as the kernel counts them."""
    return service.namespace.statistics("v0")[0]


def run_case(case: Case, scrapes: int) -> tuple[Figures, Figures]:
    """Idle and under load."""
    options = ("--interfaces", "v*", "--max-interfaces", "2048", "--max-flows", str(case.flows))
    with contextlib.ExitStack() as stack:
        a, b = (removed_by(stack) for _ in range(2))
        join(a, b, case.interfaces)
        service = stack.enter_context(serving(b, *options))
        sender, sent = stack.enter_context(a.packet_socket("v0")), frames(case.flows)
        with running(flood, sender, sent):
            wait_for(lambda: case.shown(service.text()))
        idle = measure(service, scrapes)
        with running(flood, sender, sent):
            return idle, measure(service, scrapes)


def describe(results: dict[str, tuple[Figures, Figures]], scrapes: int) -> str:
    """Where the figures come from, and the table."""
    rows = [
        (name, load, *figures.cells())
        for name, found in results.items()
        for load, figures in zip(("idle", "load"), found, strict=True)
    ]
    rates = [load.rate for _, load in results.values()]
    return (
        f"{report.machine()}. {scrapes} scrapes a row over one connection, {SPACING} s apart, "
        f"with /healthz asked every {PAUSE * 1000:.0f} ms. Load: frames of {LENGTH} bytes from as "
        f"many addresses as flows, from one process on one CPU over one interface, "
        f"{min(rates):,.0f} to {max(rates):,.0f} a second. The interfaces' rows show "
        f"{FLOWS_BESIDE:,} flows too.\n\n{report.table(HEADER, rows)}"
    )


def main() -> None:
    """Measure every case, and publish the table unless it was a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=200, help="of each row")
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    options = parser.parse_args()
    scrapes = QUICK_SCRAPES if options.quick else options.scrapes
    # SIGTERM as Ctrl-C, so that every `with` cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = {case.name: run_case(case, scrapes) for case in cases(options.quick)}
    text = f"{describe(results, scrapes)}\n\n{writing.table()}"
    report.publish("scrape", text, options.quick)


if __name__ == "__main__":
    main()
