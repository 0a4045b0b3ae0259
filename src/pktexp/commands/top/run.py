"""Run `pktexp top`: choose the source, then show the screen or print one event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pktexp.commands.top.events import Source
from pktexp.commands.top.local import local
from pktexp.commands.top.once import as_json, as_tables, look
from pktexp.commands.top.remote import Credentials, Remote
from pktexp.commands.top.rows import CONVERSATIONS, FLOW_SORTS
from pktexp.errors import PktexpError
from pktexp.settings import Settings

INSTALL = "pip install 'pktexp[top]', or use --once, which does not need it"
KEPT = 100  # log lines
WIDE = 200  # characters, enough for all columns, when the output is not a terminal


@dataclass(frozen=True)
class Wanted:
    """The options of one run; an empty `url` means counting in this process by `settings`."""

    url: str
    credentials: Credentials
    settings: Settings
    once: bool
    as_json: bool


async def run(wanted: Wanted) -> str:
    """Return the text to print at the end. Raises PktexpError if there is nothing to show."""
    if not wanted.once:
        _require_terminal()
    async with _source(wanted) as source:
        if not wanted.once:
            await _show(source)
            return ""
        event = await look(source, {"view": CONVERSATIONS, "top": "20", "sort": FLOW_SORTS[0]})
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
        return as_json(event) if wanted.as_json else as_tables(event, FLOW_SORTS[0], width)


@asynccontextmanager
async def _source(wanted: Wanted) -> AsyncIterator[Source]:
    if wanted.url:
        yield Remote(wanted.url, wanted.credentials)
        return
    async with local(wanted.settings) as source:
        yield source


def _require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        message = "standard input and output must be a terminal"
        raise PktexpError(message, "use --once for a table, --once --json for a document")
    try:
        import textual  # noqa: F401, PLC0415  # an optional dependency
    except ImportError as error:
        raise PktexpError("the screen needs the package textual", INSTALL) from error


async def _show(source: Source) -> None:
    from pktexp.commands.top.screen import Top  # noqa: PLC0415  # imports textual

    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    app = Top(source, plain=plain)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, app.exit)
    with _logs_deferred():
        await app.run_async()


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def _logs_deferred() -> Iterator[None]:
    """Keep log lines off the screen; the last ones are written when the context closes."""
    root, keeper = logging.getLogger(), _Keeper()
    before, root.handlers = root.handlers, [keeper]
    try:
        yield
    finally:
        root.handlers = before
        for record in keeper.records:
            root.handle(record)
