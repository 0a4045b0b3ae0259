"""`pktexp top --once`: one look, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from pktexp.commands.top.events import Event, Query, Source, rates_known
from pktexp.commands.top.rows import (
    INTERFACE_SORTS,
    Column,
    Row,
    flow_columns,
    interface_columns,
    shown,
    summary,
)

LEAVE_OUT = {"last 20 s", "share"}  # which are for those who keep looking


async def look(source: Source, query: Query) -> Event:
    """The first event that has rates."""
    events = source.events(query)
    try:
        async for event in events:
            if rates_known(event):
                return event
    finally:
        await events.aclose()  # type: ignore[attr-defined]  # each is a generator
    raise AssertionError("events have no end")


def as_json(event: Event) -> str:
    """One object, as an event of /api/v1/stream."""
    return orjson.dumps(event, option=orjson.OPT_INDENT_2).decode()


def as_tables(event: Event, sort: str, width: int) -> str:
    """Interfaces, talkers and drops, for a terminal of so many characters."""
    interfaces = sorted(event["interfaces"], key=INTERFACE_SORTS["traffic"])
    parts = [
        ", ".join(f"{what} {text}" for what, text, _ in summary(event)),
        _table(interface_columns({}, plain=True), interfaces, width),
    ]
    if event["flows"]:
        parts.append(_table(flow_columns(sort, 1, plain=True), event["flows"]["flows"], width))
    parts += [
        f"dropped at {row['interface'] or 'no interface'}: {row['packets']} ({row['reason']})"
        for row in event["drops"]
    ]
    return "\n\n".join(parts)


def _table(columns: Sequence[Column], rows: Sequence[Row], width: int) -> str:
    wanted = [column for column in shown(columns, width) if column.title not in LEAVE_OUT]
    cells = [[c.title for c in wanted], *([c.text(row) for c in wanted] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(size) if column.right else text.ljust(size)
            for column, text, size in zip(wanted, line, widths, strict=True)
        ).rstrip()
        for line in cells
    )
