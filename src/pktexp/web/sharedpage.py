"""The page of a scrape: scrapes that wait at the same time share one rendering. Used by app.py."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

COMPRESSION = 1  # gzip's fastest: the page is repetitive, and shrinks to a tenth even so

Render = Callable[[], Awaitable[bytes]]


class Page:
    """A rendered page, compressed when first asked for."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._compressed: asyncio.Task[bytes] | None = None

    async def compressed(self) -> bytes:
        """By gzip."""
        if self._compressed is None:
            work = asyncio.to_thread(gzip.compress, self.text, COMPRESSION)
            self._compressed = asyncio.create_task(work)
        return await asyncio.shield(self._compressed)


class Shared:
    """Pages of one format."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[Page] | None = None

    async def page(self) -> Page:
        """One whose rendering began after this call, so that nothing counted before is missing."""
        if self._next is None:
            self._next = asyncio.create_task(self._render_next())
        return await asyncio.shield(self._next)

    async def _render_next(self) -> Page:
        async with self._lock:
            self._next = None  # who comes from now on may have counted too late for this one
            return Page(await self._render())
