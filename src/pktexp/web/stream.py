"""/api/v1/stream: an event each second (server-sent events), the same work for all who read it.

Nobody waits for a reader: it gets the latest event whenever it has taken the one before, and is
dropped when that takes too long.
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
PATIENCE = 5.0  # seconds that a reader may take over an event
LOOK = 0.05  # seconds between looks at whether it has
ROOM = 64 << 10  # bytes of a reader's socket buffer, which the kernel doubles, and would let grow

NO_FLOWS = "there are no flows, as pktexp runs with --flows off"
NO_SAMPLE = "the counters could not be read, and the log of pktexp says why"
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would gather events before it sends them on
}


async def stream(request: web.Request) -> web.StreamResponse:
    """Events until the reader leaves, is dropped, or the service stops and its grace is over."""
    live, query = request.app[LIVE], Query(**parse(request, PARAMETERS))
    if live.readers.full:
        most = live.readers.most
        raise web.HTTPServiceUnavailable(text=f"all of the {most} places for readers are taken")
    with live.readers.one_more():
        return await _answer(request, live, query)


async def _answer(request: web.Request, live: Live, query: Query) -> web.StreamResponse:
    if await live.sampler.now() is None:
        raise web.HTTPServiceUnavailable(text=NO_SAMPLE)
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    _limit_buffer(request)
    with contextlib.suppress(ConnectionError):  # the reader has left
        await _push(request, response, live, query)
    return response


async def _push(
    request: web.Request, response: web.StreamResponse, live: Live, query: Query
) -> None:
    taken = -1
    while True:
        samples = await live.sampler.after(taken)
        taken = live.sampler.taken
        event = await live.event(samples, query)
        try:
            await _send(request, response, event)
        except TimeoutError:
            live.readers.dropped += 1
            log.debug("%s did not read the stream, and was dropped", request.remote)
            if request.transport:
                request.transport.abort()
            return


async def _send(request: web.Request, response: web.StreamResponse, event: bytes) -> None:
    """TimeoutError if the kernel does not take all of it for the reader in time."""
    async with asyncio.timeout(PATIENCE):
        await response.write(event)
        # No event tells when the buffer is empty.
        while (now := request.transport) and now.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(LOOK)


def _limit_buffer(request: web.Request) -> None:
    """So that readers who do not read take a bounded part of the kernel's memory."""
    if request.transport and (found := request.transport.get_extra_info("socket")):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
