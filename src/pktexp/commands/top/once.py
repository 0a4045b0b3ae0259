"""Print one event of the stream: as tables, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pktexp.commands import terminal
from pktexp.commands.top.events import Event, Query, Source, rates_known
from pktexp.commands.top.rows import (
    INTERFACE_SORTS,
    SERVICE_SORTS,
    Column,
    Row,
    flow_columns,
    flow_rows,
    interface_columns,
    service_columns,
    shown,
    summary,
)
from pktexp.errors import escaped

SERVICES = 20  # rows at most
LEFT_OUT = {"last 20 s", ""}  # columns that only a screen needs


async def look(source: Source, query: Query) -> Event:
    """Return the first event that has rates."""
    events = source.events(query)
    try:
        async for event in events:
            if rates_known(event):
                return event
    finally:
        await events.aclose()  # type: ignore[attr-defined]  # every source returns a generator
    raise AssertionError("the events ended without an error")


def as_json(event: Event) -> str:
    """Return one JSON object in ASCII, equal to an event of /api/v1/stream."""
    return json.dumps(event, indent=2)


def as_tables(event: Event, sort: str, width: int) -> str:
    """Return interfaces, services, talkers and drops in lines of `width` characters."""
    interfaces = sorted(event["interfaces"], key=INTERFACE_SORTS["traffic"])
    parts = [
        escaped(", ".join(f"{what} {text}" for what, text, _ in summary(event))),
        _table(interface_columns({}, plain=True), interfaces, width),
    ]
    if services := event.get("services"):
        largest = sorted(services, key=SERVICE_SORTS["traffic"])[:SERVICES]
        parts.append(_table(service_columns({}, plain=True), largest, width))
    if event["flows"]:
        columns = flow_columns(event["flows"]["view"], plain=True)
        parts.append(_table(columns, flow_rows(event["flows"], sort), width))
    drops = sorted(event["drops"], key=lambda row: row["harmless"])
    parts += [escaped(_dropped(row)) for row in drops]
    return "\n\n".join(parts)


def _dropped(row: Row) -> str:
    place = row["interface"] or "no interface"
    why = ", a socket was closed" if row["harmless"] else ""
    return f"dropped at {place}: {row['packets']} ({row['reason']}{why})"


def _table(columns: Sequence[Column], rows: Sequence[Row], width: int) -> str:
    wanted = [column for column in shown(columns, width) if column.title not in LEFT_OUT]
    right = [number for number, column in enumerate(wanted) if column.right]
    cells = [[column.text(row) for column in wanted] for row in rows]
    return "\n".join(terminal.table([[column.title for column in wanted], *cells], right))
