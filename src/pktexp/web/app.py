"""The aiohttp application: metrics, health, and the page (page.py). Knows nothing of the kernel.

service.py passes in what to ask: a registry (selfmetrics.py), the pages of flows and traffic
(flowpage.py, metrics.py), `flush`, and `ready`. access.py says who may ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

from pktexp.web import access
from pktexp.web.livepage import add_page
from pktexp.web.security import Security
from pktexp.web.sharedpage import Shared

BODY = 1024  # bytes of a request's body: none is asked for
OPENMETRICS = "application/openmetrics-text"
VERSIONS = ("0.0.4", "1.0.0")  # of the formats

Encode = Callable[[CollectorRegistry], bytes]


@dataclass
class Source:
    """What the handlers ask for."""

    registry: CollectorRegistry
    pages: Sequence[Callable[[bool], str]]
    """families that are not in the registry, in OpenMetrics or else in the text format; asked for
    in this order, as flows must not be ahead of the totals"""
    flush: Callable[[], Awaitable[None]]
    """waits, for a bounded time, until events that came so far are merged"""
    ready: Callable[[], str]
    """"" when attached and reading, else what is missing"""

    def __post_init__(self) -> None:
        self.seconds = Histogram(
            "pktexp_scrape_duration_seconds",
            "Time to answer a scrape; the one under way is not in it.",
            registry=self.registry,
        )


class Handlers:
    """Answers requests."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pages: dict[str, Shared] = {}  # by media type with its parameters: there are a few

    async def metrics(self, request: web.Request) -> web.Response:
        """All metrics, in the format and encoding that the client prefers."""
        started = time.perf_counter()
        accept = ",".join(request.headers.getall("Accept", []))
        encode, content_type = _format(accept)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if content_type not in self._pages:
            self._pages[content_type] = Shared(lambda: self._render(encode, content_type))
        page = await self._pages[content_type].page()
        body = page.text
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            headers["Content-Encoding"] = "gzip"
            body = await page.compressed()
        self._source.seconds.observe(time.perf_counter() - started)
        return web.Response(body=body, headers=headers)

    async def _render(self, encode: Encode, content_type: str) -> bytes:
        await self._source.flush()
        return await asyncio.to_thread(self._write, encode, content_type.startswith(OPENMETRICS))

    def _write(self, encode: Encode, openmetrics: bool) -> bytes:
        pages = [page(openmetrics).encode() for page in self._source.pages]
        return b"".join([*pages, encode(self._source.registry)])  # which writes the end

    async def healthz(self, _: web.Request) -> web.Response:
        """200 while the process answers."""
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """200 when attached and reading, else 503 and what is missing."""
        missing = self._source.ready()
        return web.Response(text=f"{missing or 'ready'}\n", status=503 if missing else 200)


def _format(accept: str) -> tuple[Encode, str]:
    """What the client understands, of the formats there are.

    The library raises on a version that is not of numbers, and believes in every other; each would
    be a page of its own.
    """
    with contextlib.suppress(TypeError, ValueError):
        encode, content_type = choose_encoder(accept)
        if any(f"version={version};" in content_type for version in VERSIONS):
            return encode, content_type
    return choose_encoder("")


def make_app(source: Source, security: Security, telemetry_path: str) -> web.Application:
    """The application that serves `source`."""
    app = web.Application(client_max_size=BODY)
    access.guard(app, security)
    handlers = Handlers(source)
    add_page(app, telemetry_path)
    app.router.add_get(telemetry_path, handlers.metrics)
    app.router.add_get("/healthz", handlers.healthz)
    app.router.add_get("/readyz", handlers.readyz)
    return app
