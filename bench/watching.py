"""What open pages cost a scrape: `python bench/watching.py [--quick]`, as root.

The cases are those of scrape.py; each is scraped with nobody at the stream, and with fifty readers.
Also told: what a sample costs, without and with somebody who watches.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import signal
import statistics
import time
from dataclasses import dataclass

import report
import scrape
from scrape import Case
from support.patience import wait_for
from support.service.api import Reader
from support.service.process import Service, parse, serving, total

STREAMS = 50
ROOM = 1 << 18  # bytes of a reader's socket buffer
QUICK_SCRAPES = 10
SETTLE = 12.0  # seconds after which nobody is taken to watch any more, and samples are cheap
HEADER = ("case", "readers", "median ms", "p99 ms", "ratio of p99", "CPU ms a sample", "CPU %")


@dataclass(frozen=True)
class Figures:
    """`times` of scrapes, CPU time of a `sample`: seconds; `cpu`: the share of one CPU."""

    times: list[float]
    sample: float
    cpu: float

    @property
    def p99(self) -> float:
        """In seconds."""
        return statistics.quantiles(self.times, n=100, method="inclusive")[98]


def read(readers: list[Reader]) -> None:
    """Take all that comes on every stream and throw it away, until killed."""
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.socket, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                key.fileobj.recv(ROOM)  # type: ignore[union-attr]  # a socket


def spent(service: Service) -> tuple[float, float, float]:
    """CPU seconds of samples, samples, and CPU seconds of everything."""
    page = service.page()
    names = ("pktexp_sample_cpu_seconds_total", "pktexp_samples_total", "process_cpu_seconds_total")
    seconds, samples, everything = (page[name, frozenset()] for name in names)
    return seconds, samples, everything


def measure(service: Service, scrapes: int, quiet: float) -> Figures:
    """CPU time over `quiet` seconds without scrapes, then the scrapes."""
    before, started = spent(service), time.monotonic()
    time.sleep(quiet)
    after, elapsed = spent(service), time.monotonic() - started
    with contextlib.closing(scrape.connection(service)) as opened:
        times = [scrape.scrape(opened)[0] for _ in range(scrapes)]
    seconds, samples, everything = (b - a for a, b in zip(before, after, strict=True))
    return Figures(times, seconds / max(samples, 1), everything / elapsed)


def run_case(case: Case, scrapes: int, quiet: float) -> tuple[Figures, Figures]:
    """Nobody, and fifty."""
    options = ("--interfaces", "v*", "--max-interfaces", "2048", "--max-flows", str(case.flows))
    with contextlib.ExitStack() as stack:
        a, b = (scrape.removed_by(stack) for _ in range(2))
        scrape.join(a, b, case.interfaces)
        service = stack.enter_context(serving(b, *options))
        sender, sent = stack.enter_context(a.packet_socket("v0")), scrape.frames(case.flows)
        with scrape.running(scrape.flood, sender, sent):
            wait_for(lambda: case.shown(service.text()))
        time.sleep(SETTLE)
        alone = measure(service, scrapes, quiet)
        readers = [Reader(service, "?top=50", ROOM) for _ in range(STREAMS)]
        with scrape.running(read, readers):
            wait_for(lambda: total(parse(service.text()), "pktexp_stream_readers") == STREAMS)
            watched = measure(service, scrapes, quiet)
            assert total(service.page(), "pktexp_stream_dropped_readers_total") == 0
        return alone, watched


def rows(name: str, alone: Figures, watched: Figures) -> list[tuple[str, ...]]:
    """As in HEADER."""
    return [
        (
            name,
            str(count),
            f"{statistics.median(figures.times) * 1e3:.1f}",
            f"{figures.p99 * 1e3:.1f}",
            f"{figures.p99 / alone.p99:.2f}",
            f"{figures.sample * 1e3:.1f}",
            f"{figures.cpu * 100:.1f}",
        )
        for count, figures in ((0, alone), (STREAMS, watched))
    ]


def main() -> None:
    """Measure every case, and publish the table unless it was a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scrapes", type=int, default=200, help="of each row")
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    options = parser.parse_args()
    scrapes, quiet = (QUICK_SCRAPES, 2.0) if options.quick else (options.scrapes, 20.0)
    # SIGTERM as Ctrl-C, so that every `with` cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cases = [Case(f"{n:,} interfaces", n, scrape.FLOWS_BESIDE) for n in scrape.INTERFACES]
    lines = [
        row
        for case in cases[: 1 if options.quick else None]
        for row in rows(case.name, *run_case(case, scrapes, quiet))
    ]
    text = (
        f"{report.machine()}. {scrapes} scrapes a row over one connection, {scrape.SPACING} s "
        f"apart, without traffic; {STREAMS} readers of one process on the same machine take every "
        f"event. CPU over {quiet:.0f} s before: of a sample, and of the whole service, of one CPU. "
        f"{scrape.FLOWS_BESIDE:,} flows are shown.\n\n{report.table(HEADER, lines)}"
    )
    report.publish("watching", text, options.quick)


if __name__ == "__main__":
    main()
