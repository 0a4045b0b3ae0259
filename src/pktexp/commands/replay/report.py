"""What comes of a replay (replay.py) as text: a page as of /metrics, a table, or JSON; for cli.py.

All three name the heaviest flows and sum the rest, lost events included, as `other`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from pktexp.commands.replay.run import Replayed
from pktexp.flows.others import Others, Tally, encode_sites
from pktexp.flows.table import FlowSnapshot
from pktexp.metrics.flows import FlowPage
from pktexp.metrics.traffic import TrafficPage
from pktexp.packet import labels
from pktexp.settings import Format

HEAD = ("protocol", "source", "dest", "packets", "bytes")
UNITS = ("B", "kB", "MB", "GB", "TB")

Row = tuple[str, str, str, int, int]
"""as HEAD says"""


@dataclass(frozen=True)
class Chosen:
    """Flows that were chosen before, for those who ask for them (sources.py)."""

    flows: FlowSnapshot

    def snapshot(self, _: Collection[int]) -> FlowSnapshot:
        """Always the same."""
        return self.flows


def report(replayed: Replayed, form: Format, max_flows: int) -> str:
    """All of it, in whole lines."""
    forms = {Format.PROMETHEUS: page, Format.TABLE: table, Format.JSON: document}
    return forms[form](replayed, heaviest(replayed.told, max_flows))


def heaviest(flows: FlowSnapshot, most: int) -> FlowSnapshot:
    """The flows with most bytes, heaviest first; the rest goes to the others."""
    order = np.argsort(flows.bytes, kind="stable")[::-1]
    shown, hidden = order[:most], order[most:]
    others = Others()
    others.add(encode_sites(flows.keys)[hidden], flows.packets[hidden], flows.bytes[hidden])
    sums = others.copy()
    for site, tally in flows.others.items():
        sums.setdefault(site, Tally()).add(tally.packets, tally.bytes)
    return FlowSnapshot(flows.keys[shown], flows.packets[shown], flows.bytes[shown], sums)


def page(replayed: Replayed, flows: FlowSnapshot) -> str:
    """As /metrics would say it, in the text format, but for the families about pktexp itself."""
    return TrafficPage(replayed)(False) + FlowPage(replayed, Chosen(flows))(False)


def table(replayed: Replayed, flows: FlowSnapshot) -> str:
    """Columns for people: flows, the others, and the sum."""
    rows = [*_rows(flows), *_sums(replayed, flows)]
    cells = [HEAD, *((*row[:3], f"{row[3]:,}", readable(row[4])) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(f"{_aligned(line, widths)}\n" for line in cells)


def document(replayed: Replayed, flows: FlowSnapshot) -> str:
    """One JSON object: the interface's totals, its flows, and the others."""
    other, total = ({"packets": row[3], "bytes": row[4]} for row in _sums(replayed, flows))
    shown = [dict(zip(HEAD, row, strict=True)) for row in _rows(flows)]
    (name,) = (lease.name for lease in replayed.totals.leases)
    return json.dumps({"interface": name, **total, "flows": shown, "other": other}, indent=2) + "\n"


def readable(size: float) -> str:
    """Bytes with three digits or so, such as "1.5 MB"."""
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 100 or unit == UNITS[0] else f"{size:.1f} {unit}"


def _rows(flows: FlowSnapshot) -> list[Row]:
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


def _sums(replayed: Replayed, flows: FlowSnapshot) -> tuple[Row, Row]:
    """What no flow tells, and everything."""
    totals, others = replayed.totals.totals, flows.others.values()
    lost, every = totals["lost"], totals["classes"]
    packets = sum(tally.packets for tally in others) + int(lost["packets"].sum())
    bytes_ = sum(tally.bytes for tally in others) + int(lost["bytes"].sum())
    total = int(every["packets"].sum()), int(every["bytes"].sum())
    return (labels.OTHER, "", "", packets, bytes_), ("total", "", "", *total)


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    pairs = list(zip(cells, widths, strict=True))
    words = [cell.ljust(width) for cell, width in pairs[:3]]
    return "  ".join([*words, *(cell.rjust(width) for cell, width in pairs[3:])])
