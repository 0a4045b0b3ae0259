"""Format the result of a replay: Prometheus text, a table, or JSON.

Each form lists the largest flows; the sum of all others, lost events included, is `other`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from pktexp.commands import terminal
from pktexp.commands.replay.run import Replayed
from pktexp.flows.table import FlowSnapshot
from pktexp.metrics.flows import FlowPage
from pktexp.metrics.traffic import TrafficPage
from pktexp.packet import labels
from pktexp.settings import Format

HEAD = ("protocol", "source", "dest", "packets", "bytes")
NUMBERS = (3, 4)  # columns of packets and bytes
UNITS = ("B", "kB", "MB", "GB", "TB")

FlowLine = tuple[str, str, str, int, int]
"""a flow's values, in the order of HEAD"""


@dataclass(frozen=True)
class Chosen:
    """A flow source whose snapshot is fixed."""

    flows: FlowSnapshot

    def snapshot(self, _: Collection[int]) -> FlowSnapshot:
        """Return the same flows for any interfaces."""
        return self.flows


def report(replayed: Replayed, form: Format, max_flows: int) -> str:
    """Return whole lines in the given format."""
    forms = {Format.PROMETHEUS: page, Format.TABLE: table, Format.JSON: document}
    return forms[form](replayed, largest(replayed.told, max_flows))


def largest(flows: FlowSnapshot, most: int) -> FlowSnapshot:
    """Return the `most` flows with most bytes, largest first; the rest is added to the others."""
    order = np.argsort(flows.bytes, kind="stable")[::-1]
    shown, hidden = order[:most], order[most:]
    others = flows.others_with(hidden)
    return dataclasses.replace(flows.take(shown), others=others)


def page(replayed: Replayed, flows: FlowSnapshot) -> str:
    """Return Prometheus text with the traffic and flow families of /metrics."""
    return TrafficPage(replayed)(False) + FlowPage(replayed, Chosen(flows))(False)


def table(replayed: Replayed, flows: FlowSnapshot) -> str:
    """Return aligned columns: the flows, the others, and the total."""
    found = [*_flow_lines(flows), *_sums(replayed, flows)]
    rows = [(*each[:3], f"{each[3]:,}", readable(each[4])) for each in found]
    return "".join(f"{line}\n" for line in terminal.table([HEAD, *rows], right=NUMBERS))


def document(replayed: Replayed, flows: FlowSnapshot) -> str:
    """Return one JSON object: the interface's totals, its flows, and the others."""
    other, total = ({"packets": sums[3], "bytes": sums[4]} for sums in _sums(replayed, flows))
    shown = [dict(zip(HEAD, line, strict=True)) for line in _flow_lines(flows)]
    (name,) = (lease.name for lease in replayed.totals.leases)
    return json.dumps({"interface": name, **total, "flows": shown, "other": other}, indent=2) + "\n"


def readable(size: float) -> str:
    """Return a number of bytes with two or three digits, such as "1.5 MB"."""
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 100 or unit == UNITS[0] else f"{size:.1f} {unit}"


def _flow_lines(flows: FlowSnapshot) -> list[FlowLine]:
    sums = zip(flows.keys, flows.packets.tolist(), flows.bytes.tolist(), strict=True)
    return [
        (
            labels.PACKET_CLASSES[int(key["packet_class"])][0],
            *labels.endpoints(key),
            packets,
            bytes_,
        )
        for key, packets, bytes_ in sums
    ]


def _sums(replayed: Replayed, flows: FlowSnapshot) -> tuple[FlowLine, FlowLine]:
    """Return the sum that is in no listed flow, and the total of the interface."""
    totals, others = replayed.totals, flows.others.values()
    lost, total = (units.sum(axis=(0, 1)).tolist() for units in (totals.lost, totals.totals))
    packets = sum(tally.packets for tally in others) + lost[0]
    bytes_ = sum(tally.bytes for tally in others) + lost[1]
    return (labels.OTHER, "", "", packets, bytes_), ("total", "", "", *total)
