"""The screen of `pktexp top` without a terminal: faults do not stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from textual.widgets import Static

from pktexp.commands.top import screen
from pktexp.commands.top.events import Event, Query
from pktexp.commands.top.screen import Top
from support.patience import until


class Faulty:
    """A source that fails whenever it is read."""

    where = "here"

    def __init__(self) -> None:
        self.reads = 0

    async def events(self, query: Query) -> AsyncIterator[Event]:
        self.reads += 1
        raise ValueError(f"bad {query['view']}")
        yield {}


async def test_fault_while_an_event_is_made_is_shown_and_reading_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "RETRY", 0.0)
    source = Faulty()
    app = Top(source, plain=True)
    async with app.run_test():
        await until(lambda: source.reads > 1)
        shown = str(app.query_one("#state", Static).render())
    assert "ValueError: bad conversations (a fault of pktexp); retrying" in shown
