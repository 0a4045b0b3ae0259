"""What merging costs in user space, on one core; throughput.py puts its table beside its own."""

from __future__ import annotations

import statistics
import time

import numpy as np

import flows
import report
from pktexp.bpf.ring import BATCH
from pktexp.flows.table import FlowTable
from pktexp.packet.records import RING_RECORD, Records

SHOWN = 1000
BATCHES = 16  # of each number of flows; the first one, which meets an empty table, is left out
COUNTS = (1, 1000, 8000, 65_000, 1_000_000)
HEADER = ("flows", "ns a record", "million records a second")


def batches(number: int) -> list[Records]:
    """Full batches of one-packet records of so many flows, uniformly."""
    order = flows.order(number).astype(np.uint32)
    made = np.zeros((BATCHES, BATCH), RING_RECORD)
    flow = made["flow"]
    flow["saddr"][..., :4] = order[: made.size].view("u1").reshape(BATCHES, BATCH, 4)
    flow["interface"], flow["packet_class"], flow["packets"], flow["bytes"] = 7, 10, 1, 64
    return list(made)


def measure(number: int) -> float:
    """Nanoseconds of CPU a record, the median of the batches."""
    table, times = FlowTable(SHOWN), []
    for batch in batches(number):
        started = time.thread_time_ns()
        table.merge(batch)
        times.append((time.thread_time_ns() - started) / BATCH)
    return statistics.median(times[1:])


def table() -> str:
    """For each number of flows."""
    found = {number: measure(number) for number in COUNTS}
    rows = [(f"{number:,}", f"{ns:.0f}", f"{1e3 / ns:.1f}") for number, ns in found.items()]
    return report.table(HEADER, rows)
