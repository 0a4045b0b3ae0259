"""Columns and sort orders of the two tables: interfaces, and flows (talkers)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pktexp.commands.top.figures import bar, bits, line, packets, si
from pktexp.errors import escaped
from pktexp.interfaces.drops import HARMLESS

Row = dict[str, Any]
"""an interface or a flow of an event"""

DIRECTIONS = ("ingress", "egress")
CONVERSATIONS, FLOWS = "conversations", "flows"
FLOW_SORTS = ("bytes_per_second", "packets_per_second", "bytes", "packets")
SHARE = 12  # characters in a bar
LATEST = 20  # seconds, one character each


@dataclass(frozen=True)
class Column:
    """A column of a table; shown in terminals of at least `room` characters."""

    title: str
    value: Callable[[Row], str]
    right: bool = False
    room: int = 0

    def text(self, row: Row) -> str:
        """Return the cell, with control characters escaped."""
        return escaped(self.value(row))


def _rate(row: Row, direction: str, unit: str) -> float | None:
    found: float | None = (row[direction] or {}).get(f"{unit}_per_second")
    return found


def dropped(row: Row) -> int:
    """Return the packets the kernel dropped at an interface, but for closed sockets'."""
    total: int = sum(n for reason, n in row["dropped"].items() if reason not in HARMLESS)
    return total


def both_ways(row: Row) -> float:
    """Return the bytes per second of an interface, received and sent."""
    return sum(_rate(row, direction, "bytes") or 0 for direction in DIRECTIONS)


INTERFACE_SORTS: Mapping[str, Callable[[Row], Any]] = {
    "traffic": lambda row: -both_ways(row),
    "name": lambda row: row["name"],
    "dropped": lambda row: -dropped(row),
}


def interface_columns(latest: Mapping[str, Sequence[float]], plain: bool) -> list[Column]:
    """Return the columns; `latest` has each interface's bytes per second, one value per second."""
    return [
        Column("interface", lambda row: row["name"]),
        Column("received", lambda row: bits(_rate(row, "ingress", "bytes")), right=True),
        Column("sent", lambda row: bits(_rate(row, "egress", "bytes")), right=True),
        Column("last 20 s", lambda row: line(latest.get(row["name"], ()), LATEST, plain)),
        Column("in", lambda row: packets(_rate(row, "ingress", "packets")), right=True, room=90),
        Column("out", lambda row: packets(_rate(row, "egress", "packets")), right=True, room=90),
        Column("dropped, total", lambda row: si(dropped(row)), right=True),
        Column("counted", _state, room=120),
        Column("class", lambda row: f"{row['class']} {row['kind']}", room=140),
        Column("about", _about, room=160),
    ]


def service_name(row: Row) -> str:
    """Return the name of a service: its pod, container or unit, else its cgroup."""
    pod = f"{row['pod_namespace']}/{row['pod']}" if row["pod"] else ""
    container = f"container {row['container']}" if row["container"] else ""
    return str(pod or container or row["unit"] or row["cgroup"])


SERVICE_SORTS: Mapping[str, Callable[[Row], Any]] = {
    "traffic": lambda row: -both_ways(row),
    "sent": lambda row: -(_rate(row, "egress", "bytes") or 0),
    "name": service_name,
}


def service_columns(latest: Mapping[str, Sequence[float]], plain: bool) -> list[Column]:
    """Return the columns; `latest` has each cgroup's bytes per second, one value per second."""
    return [
        Column("service", service_name),
        Column("received", lambda row: bits(_rate(row, "ingress", "bytes")), right=True),
        Column("sent", lambda row: bits(_rate(row, "egress", "bytes")), right=True),
        Column("last 20 s", lambda row: line(latest.get(row["cgroup"], ()), LATEST, plain)),
        Column("in", lambda row: packets(_rate(row, "ingress", "packets")), right=True, room=90),
        Column("out", lambda row: packets(_rate(row, "egress", "packets")), right=True, room=90),
        Column("received, total", lambda row: si(row["ingress"]["bytes"], "B"), True, 110),
        Column("sent, total", lambda row: si(row["egress"]["bytes"], "B"), True, 110),
        Column("cgroup", lambda row: row["cgroup"], room=140),
    ]


def _state(row: Row) -> str:
    hooks = [hook for d in DIRECTIONS if (hook := row["hooks"][d]) and hook != "none"]
    return ", ".join(hooks) if row["state"] == "counting" else str(row["state"])


def _about(row: Row) -> str:
    pod = f"{row['pod_namespace']}/{row['pod']}" if row["pod"] else ""
    return ", ".join(text for text in (row["alias"], pod, row["peer_netns"]) if text)


def flow_columns(view: str, plain: bool) -> list[Column]:
    """Return the columns. Rates come first: addresses may fill the line."""
    ways = [
        Column("to dest", lambda row: _way(row, "forward"), right=True, room=120),
        Column("to source", lambda row: _way(row, "backward"), right=True, room=120),
    ]
    return [
        Column("rate", lambda row: bits(row["bytes_per_second"]), right=True),
        *(ways if view == CONVERSATIONS else []),
        Column("share", lambda row: _percent(row["share"]), right=True),
        Column("", lambda row: bar(row["share"] or 0, SHARE, plain), room=90),
        Column("source", lambda row: _end(row, "source")),
        Column("destination", lambda row: _end(row, "dest")),
        Column("packets", lambda row: packets(row["packets_per_second"]), right=True, room=90),
        Column("bytes, total", lambda row: si(row["bytes"], "B"), right=True, room=110),
        Column("packets, total", lambda row: si(row["packets"]), right=True, room=130),
        Column("protocol", lambda row: row["protocol"], room=70),
        Column("interface", _place, room=100),
    ]


def flow_rows(flows: Row, sort: str) -> list[Row]:
    """Return the rows of a flows document, then those beyond `top` and the untracked traffic.

    The last two lines are there only if they have traffic.
    """
    more, other, rest = flows["more"], flows["other"], []
    if more["flows"]:
        rest.append(_line(f"{more['flows']} more {flows['view']}", more, flows["total"], sort))
    if other["packets"]:
        rest.append(_line("untracked", other, flows["total"], sort))
    return [*flows["flows"], *rest]


def _line(source: str, numbers: Row, total: Row, sort: str) -> Row:
    known = numbers[sort] is not None and total[sort]
    share = numbers[sort] / total[sort] if known else None
    names = ("dest", "protocol", "interface", "source_pod", "dest_pod")
    return dict.fromkeys(names, "") | numbers | {"source": source, "share": share}


def _way(row: Row, way: str) -> str:
    return bits(row[way]["bytes_per_second"]) if way in row else ""


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"


def _place(row: Row) -> str:
    return f"{row['interface']} {row.get('direction', '')}".strip()


def _end(row: Row, end: str) -> str:
    pod = row[f"{end}_pod"]
    name = f"{row[f'{end}_namespace']}/{pod}" if pod else row.get(f"{end}_service", "")
    return f"{row[end]} {name}".rstrip()


def flow_key(row: Row) -> str:
    """Return a key by which to find the same flow in the next event."""
    names = ("interface", "direction", "protocol", "source", "dest")
    return "\n".join(row.get(name, "") for name in names)


def shown(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit into a terminal of `width` characters."""
    return [column for column in columns if column.room <= width]


def summary(event: Row) -> list[tuple[str, str, bool]]:
    """Return (name, amount, whether it is bad) of the traffic, drops, losses and CPU use."""
    classes = event["status"]["classes"]
    name = next((name for name in ("physical", "virtual", "loopback") if name in classes), "")
    traffic = classes.get(name, {})
    harmful = [row for row in event["drops"] if not row["harmless"]]
    drops = sum(row["packets_per_second"] or 0 for row in harmful)
    lost = event["status"]["events"]["lost_packets"]
    rates = {d: (traffic.get(d) or {}) for d in ("ingress", "egress")}
    return [
        (f"{name} received", bits(rates["ingress"].get("bytes_per_second")), False),
        ("sent", bits(rates["egress"].get("bytes_per_second")), False),
        ("dropped", packets(round(drops, 1)), drops > 0),
        ("not attributed, total", si(lost), lost > 0),
        ("CPU", f"{event['status']['cost']['cpu_percent'] or 0} %", False),
    ]
