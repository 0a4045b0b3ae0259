"""Share the rendering of a metrics page between the scrapes that wait for it at the same time."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

COMPRESSION = 1  # gzip's fastest level; the repetitive page still shrinks to a tenth

Render = Callable[[], Awaitable[bytes]]


class RenderedPage:
    """A page as text, compressed once at the first request for that."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._compressed: asyncio.Task[bytes] | None = None

    async def compressed(self) -> bytes:
        """Return the page compressed by gzip."""
        if self._compressed is None:
            work = asyncio.to_thread(gzip.compress, self.text, COMPRESSION)
            self._compressed = asyncio.create_task(work)
        return await asyncio.shield(self._compressed)


class SharedPage:
    """The metrics page in one format."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[RenderedPage] | None = None

    async def page(self) -> RenderedPage:
        """Return a page whose rendering begins after this call, so that it is complete."""
        if self._next is None:
            self._next = asyncio.create_task(self._render_next())
        return await asyncio.shield(self._next)

    async def _render_next(self) -> RenderedPage:
        async with self._lock:
            self._next = None  # packets counted from now on may miss this rendering
            return RenderedPage(await self._render())
