"""/api/v1/stream: one server-sent event per second.

Readers with the same query share an event. No reader delays the others: each gets the latest event
once it has read the one before, and a reader that takes too long is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from aiohttp import web

from pktexp.live.documents import Live
from pktexp.live.flows import Query
from pktexp.web.parameters import declared, parse

log = logging.getLogger(__name__)

LIVE = web.AppKey("live", Live)

PARAMETERS = declared("/api/v1/stream")
SEND_TIMEOUT = 5.0  # seconds for a reader to read an event
SEND_CHECK_INTERVAL = 0.05  # seconds between checks of the write buffer
SEND_BUFFER = 64 << 10  # bytes; the kernel doubles it, and would otherwise let it grow

NO_FLOWS = "flows are disabled: pktexp runs with --flows off"
NO_SAMPLE = "reading the counters failed: see the log of pktexp"
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would otherwise buffer events
}


async def stream(request: web.Request) -> web.StreamResponse:
    """Send events until the reader disconnects or is dropped, or the service stops."""
    live, query = request.app[LIVE], Query(**parse(request, PARAMETERS))
    if live.readers.full:
        most = live.readers.most
        raise web.HTTPServiceUnavailable(text=f"the stream has its maximum of {most} readers")
    with live.readers.one_more():
        return await _answer(request, live, query)


async def _answer(request: web.Request, live: Live, query: Query) -> web.StreamResponse:
    if await live.sampler.now() is None:
        raise web.HTTPServiceUnavailable(text=NO_SAMPLE)
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    _limit_buffer(request)
    with contextlib.suppress(ConnectionError):  # the reader has disconnected
        await _push(request, response, live, query)
    return response


async def _push(
    request: web.Request, response: web.StreamResponse, live: Live, query: Query
) -> None:
    async for samples in live.sampler.each_second():
        event = await live.event(samples, query)
        try:
            await _send(request, response, event)
        except TimeoutError:
            live.readers.dropped += 1
            log.debug("dropped stream reader %s: it does not read", request.remote)
            if request.transport:
                request.transport.abort()
            return


async def _send(request: web.Request, response: web.StreamResponse, event: bytes) -> None:
    """Write an event. Raises TimeoutError if the kernel does not accept all of it in time."""
    async with asyncio.timeout(SEND_TIMEOUT):
        await response.write(event)
        # The transport has no event for an empty buffer.
        while (now := request.transport) and now.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(SEND_CHECK_INTERVAL)


def _limit_buffer(request: web.Request) -> None:
    """Bound the kernel memory that a reader can fill by not reading."""
    if request.transport and (found := request.transport.get_extra_info("socket")):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
