"""Build the aiohttp application: metrics, health and the live page, behind authorization.

It depends on nothing of the kernel; a Source provides its data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

from pktexp.web import access
from pktexp.web.livepage import add_page
from pktexp.web.negotiation import OPENMETRICS, accepts_gzip, choose_format, joined
from pktexp.web.security import Security
from pktexp.web.sharedpage import SharedPage

MAX_BODY = 1024  # bytes; no request needs a body

Encode = Callable[[CollectorRegistry], bytes]
Page = Callable[[bool], str]
"""writes families outside of the registry, as OpenMetrics or (False) as text"""


@dataclass
class Source:
    """The data behind the handlers."""

    registry: CollectorRegistry
    pages: Sequence[Page]
    """render families of records and totals after `flush`; called in this order, as flows must not
    be newer than the totals"""
    independent: Sequence[Page]
    """render families that do not depend on `flush`, while it waits"""
    flush: Callable[[], Awaitable[None]]
    """waits a bounded time until the events of packets counted so far are merged"""
    ready: Callable[[], str]
    """returns "" when ready, else the reason"""

    def __post_init__(self) -> None:
        self.seconds = Histogram(
            "pktexp_scrape_duration_seconds",
            "Time to answer a scrape; excludes the current one.",
            registry=self.registry,
        )


class Handlers:
    """The handlers of metrics and health."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pages: dict[str, SharedPage] = {}  # by content type, of which there are few

    async def metrics(self, request: web.Request) -> web.Response:
        """Return all metrics in the format and encoding that the client accepts."""
        started = time.perf_counter()
        chosen = choose_format(joined(request, "Accept"))
        encode, content_type = choose_encoder(str(chosen))
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if content_type not in self._pages:
            self._pages[content_type] = SharedPage(lambda: self._render(encode, content_type))
        page = await self._pages[content_type].page()
        body = page.text
        if accepts_gzip(joined(request, "Accept-Encoding")):
            headers["Content-Encoding"] = "gzip"
            body = await page.compressed()
        self._source.seconds.observe(time.perf_counter() - started)
        return web.Response(body=body, headers=headers)

    async def _render(self, encode: Encode, content_type: str) -> bytes:
        openmetrics = content_type.startswith(OPENMETRICS)
        independent = asyncio.to_thread(_written, self._source.independent, openmetrics)
        _, middle = await asyncio.gather(self._source.flush(), independent)
        return await asyncio.to_thread(self._write, encode, openmetrics, middle)

    def _write(self, encode: Encode, openmetrics: bool, middle: bytes) -> bytes:
        first = _written(self._source.pages, openmetrics)
        return b"".join((first, middle, encode(self._source.registry)))  # which ends the page

    async def healthz(self, _: web.Request) -> web.Response:
        """Return 200 as long as the process responds."""
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Return 200 when attached and reading, else 503 with the reason."""
        missing = self._source.ready()
        return web.Response(text=f"{missing or 'ready'}\n", status=503 if missing else 200)


def _written(pages: Sequence[Page], openmetrics: bool) -> bytes:
    return b"".join([page(openmetrics).encode() for page in pages])


def make_app(source: Source, security: Security, telemetry_path: str) -> web.Application:
    """Return the application that serves `source`, with the metrics at `telemetry_path`."""
    app = web.Application(client_max_size=MAX_BODY)
    access.guard(app, security)
    handlers = Handlers(source)
    add_page(app, telemetry_path)
    app.router.add_get(telemetry_path, handlers.metrics)
    app.router.add_get("/healthz", handlers.healthz)
    app.router.add_get("/readyz", handlers.readyz)
    return app
