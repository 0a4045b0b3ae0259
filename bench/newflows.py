"""The first scrape after many new flows, and those after it: `python bench/newflows.py`, as root.

Each round is a service of its own, scraped once without flows. Then a packet of each flow arrives,
and the scrapes follow at once.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import statistics
from collections.abc import Sequence

import report
from scrape import FIRST_SOURCE, ask, connection, frames, join, received, removed_by, scrape
from support.patience import wait_for
from support.service.process import serving

SOURCE = 26  # where a frame has its source address
FLOWS = (1_000, 10_000, 100_000)
ROUNDS, LATER = 5, 10
HEADER = ("new flows", "before ms", "first ms", "later ms", "KiB")


def measure(sent: Sequence[bytes]) -> tuple[float, float, list[float], int]:
    """Send each frame, of a flow of its own.

    Returns seconds of the scrape before, of the first and of later ones, and a page's bytes.
    """
    with contextlib.ExitStack() as stack:
        a, b = (removed_by(stack) for _ in range(2))
        join(a, b, 1)
        service = stack.enter_context(
            serving(b, "--interfaces", "v*", "--max-flows", str(len(sent)))
        )
        sender = stack.enter_context(a.packet_socket("v0"))
        opened = stack.enter_context(contextlib.closing(connection(service)))
        before = statistics.median(scrape(opened)[0] for _ in range(LATER))
        expected = received(service) + len(sent)
        for frame in sent:
            sender.send(frame)
        wait_for(lambda: received(service) >= expected)
        first, _ = ask(opened, "/metrics", "identity")
        later = [scrape(opened) for _ in range(LATER)]
    return before, first, [seconds for seconds, _ in later], later[-1][1]


def row(flows: int, rounds: int) -> tuple[str, ...]:
    """Measure some rounds; return medians in milliseconds, and the page's size."""
    (frame,) = frames(1)  # scapy builds a thousand a second; nobody checks the checksum
    sources = (int(FIRST_SOURCE + i).to_bytes(4, "big") for i in range(flows))
    sent = [frame[:SOURCE] + source + frame[SOURCE + 4 :] for source in sources]
    found = [measure(sent) for _ in range(rounds)]
    before, first = (statistics.median(x) for x in ([x[0] for x in found], [x[1] for x in found]))
    later = statistics.median(seconds for x in found for seconds in x[2])
    times = (f"{seconds * 1000:.1f}" for seconds in (before, first, later))
    return f"{flows:,}", *times, f"{found[-1][3] / 1024:.1f}"


def main() -> None:
    """Measure every number of flows, and publish the table unless it was a quick run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="services of each row")
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    options = parser.parse_args()
    # SIGTERM as Ctrl-C, so that every `with` cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    flows, rounds = (FLOWS[:1], 1) if options.quick else (FLOWS, options.rounds)
    rows = [row(number, rounds) for number in flows]
    text = f"{report.machine()}; {rounds} services a row.\n\n{report.table(HEADER, rows)}"
    report.publish("newflows", text, options.quick)


if __name__ == "__main__":
    main()
