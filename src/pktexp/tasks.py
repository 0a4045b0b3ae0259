"""asyncio tasks that end as they should; for service.py, attribution.py and interfaces.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

Work = Coroutine[None, None, None]


@asynccontextmanager
async def background(work: Work) -> AsyncIterator[None]:
    """Runs beside the body, and ends with it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def to_its_end(work: Work) -> None:
    """Await work that is not left halfway, as a thread can't be cancelled, before ending."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
