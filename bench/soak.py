"""pktexp under everything at once: `python bench/soak.py [MINUTES] [--seed N] [--quick]`, as root.

Traffic, churn, clients and faults (disturbing.py) come upon a service in a namespace, while what it
takes and tells is sampled (soaked.py). It fails if a packet is missing in the end, if the accounts
did not balance, or if memory, descriptors or maps grew.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import disturbing
import report
import soaked
from scrape import frames, join, removed_by, running
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.process import Service, serving

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
PLOT = PAGE.parent / "images" / "soak.svg"
EVERY = 2.0  # seconds between samples
OPTIONS = ("--interfaces", "v*", "--max-interfaces", "256", "--flow-cache", "256KiB")
RING = ("--ring-size", str(64 << 10))  # so small that it is full at times


def soak(minutes: float, seed: int) -> tuple[list[soaked.Sample], disturbing.Done, list[str]]:
    """What was seen, what was done, and what was wrong in the end."""
    with contextlib.ExitStack() as stack:
        a, b = (removed_by(stack) for _ in range(2))
        join(a, b, 3)
        a.ip("address", "add", "10.99.0.1/24", "dev", "v1")
        b.ip("address", "add", "10.99.0.2/24", "dev", "v1")
        service = stack.enter_context(serving(b, *OPTIONS, *RING))
        wait_for(lambda: 'interface="v0"' in service.text())
        done, samples = disturbing.Done(), []
        with disturbed(a, service, done, seed):
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                samples.append(soaked.look(service))
                time.sleep(EVERY)
        time.sleep(2 * EVERY)  # nothing comes any more
        samples.append(soaked.look(service))
        return samples, done, soaked.wrong(service, samples)


@contextlib.contextmanager
def disturbed(a: Namespace, service: Service, done: disturbing.Done, seed: int) -> Iterator[None]:
    """Everything beside the body; what failed there fails here."""
    stop = threading.Event()
    with a.packet_socket("v0") as sender, running(disturbing.steady, sender, frames(1000)):
        threads = [
            disturbing.Loop(what, a, service, done, random.Random(f"{seed} {what.__name__}"), stop)
            for what in disturbing.ALL
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    if failed := [thread for thread in threads if thread.error]:
        raise RuntimeError(f"{failed[0].what.__name__} failed") from failed[0].error


def main() -> None:
    """Soak, publish unless it was a quick run, and end with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10)
    parser.add_argument("--seed", type=int, default=1, help="of what is done when")
    parser.add_argument("--quick", action="store_true", help="a smoke test: publishes nothing")
    options = parser.parse_args()
    # SIGTERM as Ctrl-C, so that every `with` cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    samples, done, wrong = soak(0.2 if options.quick else options.minutes, options.seed)
    minutes = (samples[-1].at - samples[0].at) / 60
    text = (
        f"{report.machine()}. `just soak {options.minutes:g} --seed {options.seed}`: {minutes:.1f} "
        f"minutes, {len(samples)} samples. Done meanwhile: {done}.\n\n{soaked.summary(samples)}"
    )
    report.publish("soak", text, options.quick, PAGE)
    soaked.draw(samples, Path("/dev/null") if options.quick else PLOT)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
