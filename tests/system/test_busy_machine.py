"""Rates on a machine that is busy with other work: drains, samples and readers are late."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from support.netns.namespace import Namespace
from support.service.api import Reader, frames
from support.service.process import serving

Event = dict[str, Any]
Pair = tuple[Namespace, Namespace]

LOOPS = 4  # processes that do nothing but use the CPU
SECONDS = 60  # of the stream
SOURCES, SHOWN = 20, 15  # flows that are sent, and that have a row of their own
PERIOD = 0.02  # seconds between two rounds of the sender


@contextlib.contextmanager
def busy() -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait(10)


@contextlib.contextmanager
def sending(a: Namespace) -> Iterator[None]:
    """A packet of each source every PERIOD seconds, while the context is open."""
    stop, sent = threading.Event(), frames(SOURCES, 1000)
    a.wait_for_carrier("va")

    def send() -> None:
        with a.packet_socket("va") as raw:
            while not stop.wait(PERIOD):
                for frame in sent:
                    raw.send(frame)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def ingress(event: Event) -> Event:
    (found,) = (row["ingress"] for row in event["interfaces"] if row["name"] == "vb")
    return dict(found)


def test_rates_agree_on_a_busy_machine(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", "--max-flows", str(SHOWN)) as service:
        service.wait_until_attached("vb")
        query = "?view=flows&interface=vb&direction=ingress&top=10"
        with sending(a), busy(), contextlib.closing(Reader(service, query, 1 << 20)) as reader:
            started, events = time.monotonic(), []
            for event in reader.events():
                events.append(event)
                if time.monotonic() - started > SECONDS:
                    break
    check_flows(events)
    check_seconds(events)


def check_flows(events: list[Event]) -> None:
    """No flow is above its interface; flows, those not shown, and untracked ones sum to it."""
    known = [event for event in events[1:] if event["flows"]["total"]["bytes_per_second"]]
    assert len(known) > 10  # else there was nothing to compare
    worst = 0.0
    for event in known:
        flows, whole = event["flows"], ingress(event)["bytes_per_second"]
        rates = [row["bytes_per_second"] for row in flows["flows"]]
        worst = max(worst, *(rate / whole for rate in rates))
        parts = sum(rates) + sum(flows[x]["bytes_per_second"] for x in ("more", "other"))
        assert abs(parts - whole) < 0.1
    assert worst <= 1.05
    last = known[-1]["flows"]
    assert last["more"]["flows"] == SHOWN - 10
    assert last["more"]["bytes_per_second"] > 0
    assert last["other"]["bytes_per_second"] > 0


def check_seconds(events: list[Event]) -> None:
    """Events are a second apart on the service's clock, and none shows a pause of the sender."""
    full = [event for event in events if event["second"] is not None]
    for before, after in itertools.pairwise(full):
        seconds = after["second"] - before["second"]
        assert seconds >= 1
        grown = ingress(after)["packets"] - ingress(before)["packets"]
        assert grown / seconds > 0
