"""The screen of `pktexp top`: a summary, two tables and key bindings, drawn by textual."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from pktexp.commands.top.events import Event, Source
from pktexp.commands.top.rows import Column, summary
from pktexp.commands.top.view import INTERFACES, SERVICES, TALKERS, View
from pktexp.errors import PktexpError, escaped
from pktexp.failures import FailureCounter

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds
HELP = """\
Tab        switch between the tables
s          sort by the next column          d   ingress, egress, or both
/          filter this table by text        Esc clear all filters
Enter      the talkers at this interface    c   count each packet once, or at every interface
v          interfaces or services           q   quit
space      pause or resume                  ?   this help"""
UPPER = (INTERFACES, SERVICES)


class Top(App[None]):
    """The application; `plain` restricts bars and charts to ASCII characters."""

    CSS = """
    #summary, #state, #help { height: auto; padding: 0 1; }
    #interfaces, #services { height: auto; max-height: 40%; }
    #services, #services-title { display: none; }
    #talkers { height: 1fr; }
    .title { height: 1; padding: 0 1; text-style: bold; }
    #find, #help { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("space", "pause", "pause"),
        Binding("s", "sort", "sort"),
        Binding("slash", "find", "find"),
        Binding("d", "direction", "direction"),
        Binding("c", "view", "count"),
        Binding("v", "upper", "services"),
        Binding("escape", "clear_filters", "clear"),
        Binding("question_mark,h", "help", "help"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, *, plain: bool) -> None:
        super().__init__(ansi_color=True)
        self.source = source
        self.view = View(plain)
        self.paused = False
        self.failures = FailureCounter(log)
        self.finding = TALKERS  # the table that the text field filters
        self.reader: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        """Yield the widgets from top to bottom."""
        yield Static(id="summary", markup=False)
        yield Static(id="state", markup=False)
        for name in (*UPPER, TALKERS):
            yield Static(id=f"{name}-title", classes="title", markup=False)
            yield DataTable(id=name, cursor_type="row")
        yield Static(HELP, id="help", markup=False)
        yield Input(id="find", placeholder="text; Enter filters the table")
        yield Footer()

    def on_mount(self) -> None:
        """Start reading events."""
        self.query_one(f"#{TALKERS}").focus()
        self.restart()

    def on_unmount(self) -> None:
        """Stop reading events."""
        if self.reader:
            self.reader.cancel()

    def on_resize(self) -> None:
        """Redraw: the width decides which columns are shown."""
        self.draw()

    def restart(self) -> None:
        """Restart the stream with the current filters; while paused, only stop it."""
        if self.reader:
            self.reader.cancel()
        self.reader = None if self.paused else asyncio.create_task(self.follow())
        self.draw()

    async def follow(self) -> None:
        """Show events as they arrive; reconnect after an error."""
        while True:
            try:
                async for event in self.source.events(self.view.query()):
                    self.view.take(event)
                    self.show_state("live")
                    self.draw()
            except PktexpError as error:
                self.show_state(f"{error} ({error.hint}); retrying")
            except Exception as error:  # noqa: BLE001  # the screen would stand still, and say live
                self.failures.note(error, "failed to show an event, retrying")
                self.show_state(f"{type(error).__name__}: {error} (a fault of pktexp); retrying")
            await asyncio.sleep(RETRY)

    def show_state(self, state: str) -> None:
        """Show whether events arrive; errors may contain text of the service."""
        self.query_one("#state", Static).update(escaped(f"{self.source.where}: {state}"))

    def draw(self) -> None:
        """Redraw all widgets from the latest event."""
        for name in (*UPPER, TALKERS):
            self.query_one(f"#{name}-title", Static).update(escaped(self.view.title(name)))
            self.fill(self.query_one(f"#{name}", DataTable), name)
        if self.view.event:
            text = summary_text(self.view.event, self.size.width - 2)  # the padding
            self.query_one("#summary", Static).update(text)

    def fill(self, table: DataTable[Any], name: str) -> None:
        """Fill a table; the cursor stays in the first row, elsewhere it follows its row."""
        columns, rows = self.view.columns(name, self.size.width), self.view.rows(name)
        keys = [key for key, _ in rows]
        titles = [column.title for column in columns]
        moved, at, (x, y) = table.cursor_row > 0, chosen(table), table.scroll_offset
        same = [str(column.label) for column in table.ordered_columns] == titles
        table.clear(columns=not same)
        if not same:
            table.add_columns(*(aligned(column.title, column) for column in columns))
        for key, row in rows:
            table.add_row(*(aligned(c.text(row), c) for c in columns), key=key)
        if moved and at in keys:
            table.move_cursor(row=keys.index(at), scroll=False)
        table.scroll_to(x, y, animate=False, force=True)

    def table(self) -> str:
        """Return the name of the table that receives keys."""
        focused = self.focused.id if self.focused else None
        return focused if focused in UPPER else TALKERS

    def action_pause(self) -> None:
        """Pause or resume."""
        self.paused = not self.paused
        self.restart()
        self.show_state("paused" if self.paused else "resuming")

    def action_sort(self) -> None:
        """Sort the focused table by its next sort order."""
        name = self.table()
        self.view.next_sort(name)
        self.restart() if name == TALKERS else self.draw()

    def action_direction(self) -> None:
        """Show talkers of the next direction."""
        self.view.next_direction()
        self.restart()

    def action_view(self) -> None:
        """Switch between conversations and flows at every interface."""
        self.view.next_view()
        self.restart()

    def action_upper(self) -> None:
        """Show services in place of interfaces, or interfaces again."""
        was, shown = (
            UPPER if self.query_one(f"#{SERVICES}").styles.display == "none" else UPPER[::-1]
        )
        focused = self.table() == was
        for name, display in ((was, "none"), (shown, "block")):
            for widget in (f"#{name}", f"#{name}-title"):
                self.query_one(widget).styles.display = display
        if focused:
            self.query_one(f"#{shown}").focus()

    def action_help(self) -> None:
        """Show or hide the help."""
        shown = self.query_one("#help").styles
        shown.display = "none" if shown.display == "block" else "block"

    def action_find(self) -> None:
        """Open the text field that filters the focused table."""
        field = self.query_one("#find", Input)
        self.finding = self.table()
        field.value = self.view.finds[self.finding]
        field.styles.display = "block"
        field.focus()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Filter the table by the text."""
        self.view.finds[self.finding] = submitted.value
        self.leave_field(self.finding)
        self.restart()

    def action_clear_filters(self) -> None:
        """Clear all filters."""
        self.view.finds = dict.fromkeys(self.view.finds, "")
        self.view.interface = self.view.direction = ""
        self.leave_field(self.table())
        self.restart()

    def leave_field(self, name: str) -> None:
        """Hide the text field, and focus a table."""
        self.query_one("#find").styles.display = "none"
        self.query_one(f"#{name}").focus()

    def on_data_table_row_selected(self, selected: DataTable.RowSelected) -> None:
        """Show the talkers of the interface on which Enter was pressed."""
        if selected.data_table.id == INTERFACES:
            self.view.interface = re.sub(r"([*?[])", r"[\1]", str(selected.row_key.value))
            self.restart()


def summary_text(event: Event, width: int) -> Text:
    """Return the summary, broken into lines only between its parts."""
    lines = [Text()]
    for what, much, bad in summary(event):
        part = Text.assemble(f"{what} ", (much, "bold red" if bad else "bold"))
        if lines[-1].cell_len + part.cell_len > width:
            lines.append(Text())
        lines[-1].append_text(part).append("   ")
    return Text("\n").join(lines)


def aligned(text: str, column: Column) -> Text:
    """Return a cell, aligned as its column is."""
    return Text(text, justify="right" if column.right else "left")


def chosen(table: DataTable[Any]) -> str:
    """Return the key of the row under the cursor; "" if the table is empty."""
    if not table.row_count:
        return ""
    return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)
