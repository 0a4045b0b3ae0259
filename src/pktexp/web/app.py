"""The aiohttp application: /metrics, health, and a landing page. Knows nothing of the kernel.

service.py passes in what to ask: a registry (selfmetrics.py), the pages of flows and traffic
(flowpage.py, metrics.py), `flush`, and `ready`.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

COMPRESSION = 1  # gzip's fastest: the page is repetitive, and shrinks to a tenth even so


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


SOURCE = web.AppKey("source", Source)


def make_app(source: Source) -> web.Application:
    """The application that serves `source`."""
    app = web.Application()
    app[SOURCE] = source
    app.router.add_get("/", index)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app


async def index(_: web.Request) -> web.Response:
    """The landing page."""
    text = files("pktexp.web").joinpath("index.html").read_text("utf-8")
    return web.Response(text=text, content_type="text/html")


async def metrics(request: web.Request) -> web.Response:
    """All metrics, in the format and encoding that the client prefers; rendered off the loop."""
    source = request.app[SOURCE]
    started = time.perf_counter()
    await source.flush()
    accept = ",".join(request.headers.getall("Accept", []))
    compress = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    body, content_type = await asyncio.to_thread(_render, source, accept, compress)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if compress:
        headers["Content-Encoding"] = "gzip"
    source.seconds.observe(time.perf_counter() - started)
    return web.Response(body=body, headers=headers)


def _render(source: Source, accept: str, compress: bool) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    openmetrics = content_type.startswith("application/openmetrics-text")
    pages = [page(openmetrics).encode() for page in source.pages]
    body = b"".join([*pages, encode(source.registry)])  # which writes the end
    return (gzip.compress(body, COMPRESSION) if compress else body), content_type


async def healthz(_: web.Request) -> web.Response:
    """200 while the process answers."""
    return web.Response(text="alive\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when attached and reading, else 503 and what is missing."""
    missing = request.app[SOURCE].ready()
    return web.Response(text=f"{missing or 'ready'}\n", status=503 if missing else 200)
