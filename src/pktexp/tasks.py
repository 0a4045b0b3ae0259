"""Run asyncio tasks that end in a defined way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from pktexp.failures import FailureCounter

log = logging.getLogger(__name__)

Work = Coroutine[None, None, None]


@asynccontextmanager
async def background(work: Work) -> AsyncIterator[None]:
    """Run `work` while the context is open; cancel it at the end and wait until it has ended.

    Work that fails, which none should, is logged at once: nothing else would show its end.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_tell)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        name = task.get_coro().__qualname__  # type: ignore[union-attr]  # it was made of a coroutine
        FailureCounter(log).note(error, "%s has stopped, restart pktexp and report it", name)


async def to_its_end(work: Work) -> None:
    """Await `work` to its end even if cancelled, then raise the cancellation.

    For work in a thread, which cannot be cancelled.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
