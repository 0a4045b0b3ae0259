"""Run asyncio tasks that end in a defined way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

Work = Coroutine[None, None, None]


@asynccontextmanager
async def background(work: Work) -> AsyncIterator[None]:
    """Run `work` while the context is open; cancel it at the end and wait until it has ended."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


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
