"""The state of the screen: the latest event, and how its tables are sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pktexp.commands.top.events import Event, Query
from pktexp.commands.top.rows import (
    CONVERSATIONS,
    FLOW_SORTS,
    FLOWS,
    INTERFACE_SORTS,
    LATEST,
    SERVICE_SORTS,
    Column,
    Row,
    both_ways,
    flow_columns,
    flow_key,
    flow_rows,
    interface_columns,
    service_columns,
    service_name,
    shown,
)

TOP = "100"  # talkers
DIRECTIONS = ("", "ingress", "egress")
INTERFACES, SERVICES, TALKERS = "interfaces", "services", "talkers"
SORTS = {
    INTERFACES: tuple(INTERFACE_SORTS),
    SERVICES: tuple(SERVICE_SORTS),
    TALKERS: FLOW_SORTS,
}

Rows = list[tuple[str, Row]]
"""rows by a key that stays the same from event to event"""


@dataclass
class View:
    """Sorting, filters and data. Talkers at `interface` are shown; at all if it is empty.

    `latest` has each interface's bytes per second, one value per second; `services` each cgroup's.
    """

    plain: bool
    event: Event | None = None
    interface: str = ""
    direction: str = ""
    view: str = CONVERSATIONS
    sorts: dict[str, str] = field(default_factory=lambda: {k: v[0] for k, v in SORTS.items()})
    finds: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SORTS, ""))
    latest: dict[str, list[float]] = field(default_factory=dict)
    services: dict[str, list[float]] = field(default_factory=dict)

    def query(self) -> Query:
        """Return the parameters of the stream for the talkers to show."""
        query = {
            "view": self.view,
            "top": TOP,
            "sort": self.sorts[TALKERS],
            "search": self.finds[TALKERS],
        }
        chosen = {"interface": self.interface, "direction": self.direction}
        return query | {name: value for name, value in chosen.items() if value}

    def take(self, event: Event) -> None:
        """Store an event; the history of rows missing from it is dropped."""
        self.event = event
        self.latest = _continued(self.latest, event["interfaces"], "name")
        self.services = _continued(self.services, event.get("services") or [], "cgroup")

    def next_sort(self, table: str) -> None:
        """Sort a table by its next sort order."""
        known = SORTS[table]
        self.sorts[table] = known[(known.index(self.sorts[table]) + 1) % len(known)]

    def next_direction(self) -> None:
        """Show talkers of the next direction: both, ingress, egress."""
        self.direction = DIRECTIONS[(DIRECTIONS.index(self.direction) + 1) % len(DIRECTIONS)]

    def next_view(self) -> None:
        """Switch between conversations, counted once, and flows at every interface."""
        self.view = FLOWS if self.view == CONVERSATIONS else CONVERSATIONS

    def title(self, table: str) -> str:
        """Return the title of a table: its sort order and filters."""
        parts = [f"{table} by {self.sorts[table].replace('_', ' ')}"]
        if self.finds[table]:
            parts.append(f"with '{self.finds[table]}'")
        if table == TALKERS:
            parts += [f"at {self.interface}"] if self.interface else []
            parts += [self.direction] if self.direction else []
            parts += ["at every interface"] if self.view == FLOWS else []
            if self.event and self.event["flows"] is None:
                parts = ["talkers: not available with --flows off"]
        if table == SERVICES and self.event and self.event.get("services") is None:
            parts = ["services: not counted, the log of the service says why"]
        return ", ".join(parts)

    def columns(self, table: str, width: int) -> Sequence[Column]:
        """Return the columns of a table that fit into `width` characters."""
        if table == INTERFACES:
            return shown(interface_columns(self.latest, self.plain), width)
        if table == SERVICES:
            return shown(service_columns(self.services, self.plain), width)
        flows = self.event["flows"] if self.event else None
        return shown(flow_columns(flows["view"] if flows else self.view, self.plain), width)

    def rows(self, table: str) -> Rows:
        """Return the filtered rows of a table, sorted."""
        if table == TALKERS:
            return [(flow_key(row), row) for row in self._flows()]
        if table == SERVICES:
            return self._services()
        found = self.event["interfaces"] if self.event else []
        text = self.finds[INTERFACES].lower()
        wanted = [row for row in found if text in f"{row['name']}\n{row['alias']}".lower()]
        ordered = sorted(wanted, key=INTERFACE_SORTS[self.sorts[INTERFACES]])
        return [(row["name"], row) for row in ordered]

    def _services(self) -> Rows:
        found = (self.event.get("services") if self.event else None) or []
        text = self.finds[SERVICES].lower()
        wanted = [x for x in found if text in f"{service_name(x)}\n{x['cgroup']}".lower()]
        ordered = sorted(wanted, key=SERVICE_SORTS[self.sorts[SERVICES]])
        return [(row["cgroup"], row) for row in ordered]

    def _flows(self) -> list[Row]:
        flows = self.event["flows"] if self.event else None
        return flow_rows(flows, self.sorts[TALKERS]) if flows else []


def _continued(
    latest: dict[str, list[float]], rows: Sequence[Row], key: str
) -> dict[str, list[float]]:
    """Append the present rates to the latest ones, by the rows' field `key`."""
    return {row[key]: [*latest.get(row[key], []), both_ways(row)][-LATEST:] for row in rows}
