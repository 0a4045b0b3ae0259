"""The screen of `pktexp top`, made with textual: a summary, two tables, and keys (view.py)."""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from pktexp.commands.top.events import Event, Source
from pktexp.commands.top.rows import Column, summary
from pktexp.commands.top.view import INTERFACES, TALKERS, View
from pktexp.errors import PktexpError

RETRY = 2.0  # seconds
HELP = """\
Tab        from one table to the other
s          sort by the next column          d   ingress, egress, or both
/          find text in this table          Esc everything again
Enter      the talkers at this interface    space   pause, and go on
?          this help                        q   quit"""


class Top(App[None]):
    """Runs until it is told to quit; `plain`: without characters beyond ASCII."""

    CSS = """
    #summary, #state, #help { height: auto; padding: 0 1; }
    #interfaces { height: auto; max-height: 40%; }
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
        Binding("escape", "everything", "all"),
        Binding("question_mark,h", "help", "help"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, *, plain: bool) -> None:
        super().__init__(ansi_color=True)
        self.source = source
        self.view = View(plain)
        self.paused = False
        self.finding = TALKERS  # the table that text is asked for
        self.reader: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static(id="summary", markup=False)
        yield Static(id="state", markup=False)
        for name in (INTERFACES, TALKERS):
            yield Static(id=f"{name}-title", classes="title", markup=False)
            yield DataTable(id=name, cursor_type="row")
        yield Static(HELP, id="help", markup=False)
        yield Input(id="find", placeholder="text; Enter shows what has it")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one(f"#{TALKERS}").focus()
        self.ask_anew()

    def on_resize(self) -> None:
        """Columns come and go with the width."""
        self.draw()

    def ask_anew(self) -> None:
        """With what is chosen now."""
        if self.reader:
            self.reader.cancel()
        self.reader = None if self.paused else asyncio.create_task(self.follow())
        self.draw()

    async def follow(self) -> None:
        """Show what comes; try again when nothing does."""
        while True:
            try:
                async for event in self.source.events(self.view.query()):
                    self.view.take(event)
                    self.tell("live")
                    self.draw()
            except PktexpError as error:
                self.tell(f"{error} ({error.hint}); trying again")
            await asyncio.sleep(RETRY)

    def tell(self, state: str) -> None:
        """What goes on, for people."""
        self.query_one("#state", Static).update(f"{self.source.where}: {state}")

    def draw(self) -> None:
        """Everything, of the latest event."""
        for name in (INTERFACES, TALKERS):
            self.query_one(f"#{name}-title", Static).update(self.view.title(name))
            self.fill(self.query_one(f"#{name}", DataTable), name)
        if self.view.event:
            text = summed_up(self.view.event, self.size.width - 2)  # of padding
            self.query_one("#summary", Static).update(text)

    def fill(self, table: DataTable[Any], name: str) -> None:
        """The cursor stays at its row, or at the first, which the heaviest shall not leave."""
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
        """The name of the one that keys go to."""
        return INTERFACES if self.focused and self.focused.id == INTERFACES else TALKERS

    def action_pause(self) -> None:
        """Or go on."""
        self.paused = not self.paused
        self.ask_anew()
        self.tell("paused" if self.paused else "going on")

    def action_sort(self) -> None:
        """By the next."""
        name = self.table()
        self.view.next_sort(name)
        self.ask_anew() if name == TALKERS else self.draw()

    def action_direction(self) -> None:
        """Of talkers."""
        self.view.next_direction()
        self.ask_anew()

    def action_help(self) -> None:
        """Or no help."""
        shown = self.query_one("#help").styles
        shown.display = "none" if shown.display == "block" else "block"

    def action_find(self) -> None:
        """Asks for text, in the table where the cursor is."""
        field = self.query_one("#find", Input)
        self.finding = self.table()
        field.value = self.view.finds[self.finding]
        field.styles.display = "block"
        field.focus()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Shows what has it."""
        self.view.finds[self.finding] = submitted.value
        self.leave_field(self.finding)
        self.ask_anew()

    def action_everything(self) -> None:
        """Forget what was chosen."""
        self.view.finds = dict.fromkeys(self.view.finds, "")
        self.view.interface = self.view.direction = ""
        self.leave_field(self.table())
        self.ask_anew()

    def leave_field(self, name: str) -> None:
        """Back to the table."""
        self.query_one("#find").styles.display = "none"
        self.query_one(f"#{name}").focus()

    def on_data_table_row_selected(self, selected: DataTable.RowSelected) -> None:
        """Enter at an interface shows its talkers."""
        if selected.data_table.id == INTERFACES:
            self.view.interface = re.sub(r"([*?[])", r"[\1]", str(selected.row_key.value))
            self.ask_anew()


def summed_up(event: Event, width: int) -> Text:
    """In as many lines as it takes; what belongs together is in one."""
    lines = [Text()]
    for what, much, bad in summary(event):
        part = Text.assemble(f"{what} ", (much, "bold red" if bad else "bold"))
        if lines[-1].cell_len + part.cell_len > width:
            lines.append(Text())
        lines[-1].append_text(part).append("   ")
    return Text("\n").join(lines)


def aligned(text: str, column: Column) -> Text:
    """As the column is."""
    return Text(text, justify="right" if column.right else "left")


def chosen(table: DataTable[Any]) -> str:
    """The key of the row with the cursor."""
    if not table.row_count:
        return ""
    return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)
