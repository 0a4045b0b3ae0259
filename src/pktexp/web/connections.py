"""Accept a bounded number of connections, and end those of slow or idle clients.

aiohttp waits for requests without limit. Here each phase has a deadline (connection.py), and at the
limit the connection that has been idle longest is closed, so that a scrape always gets through.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from pktexp.tasks import background
from pktexp.web.access import Handler
from pktexp.web.connection import DEADLINES, Connection, Phase, QuietHandler, with_target
from pktexp.web.security import Security

MAX_ACCEPTS = 64  # connections accepted before the loop does other work
SWEEP_INTERVAL = 1.0  # seconds between checks of the deadlines
ACCEPT_RETRY = 0.5  # seconds to pause when accepting fails (no file descriptors left)
SHUTDOWN_TIMEOUT = 1.0  # seconds for requests in progress at the end
# Number of headers of a request; bytes of its first line, and of each header.
REQUEST_LIMITS = {"max_headers": 64, "max_line_size": 8190, "max_field_size": 8190}


class Connections:
    """At most `limit` open connections; `ended` counts by reason those that clients did not end."""

    def __init__(self, limit: int, security: Security) -> None:
        self._limit = limit
        self._security = security
        self._open: dict[object, Connection] = {}  # by aiohttp's handler
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Number of open connections, TLS handshakes under way included."""
        return len(self._open)

    @asynccontextmanager
    async def answering(
        self, app: web.Application, listening: socket.socket
    ) -> AsyncIterator[None]:
        """Answer requests to `app` while the context is open."""
        # After access.py: a connection counts as being answered only once it is authorized, so that
        # password checks do not protect it from eviction.
        app.middlewares.append(self._mark)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await runner.setup()
        assert runner.server
        runner.server.request_factory = with_target(runner.server.request_factory)
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(listening, self._accept, listening, runner.server)
        try:
            async with background(self._sweep()):
                yield
        finally:
            loop.remove_reader(listening)
            listening.close()
            for task in self._tasks:
                task.cancel()
            await runner.cleanup()

    def _accept(self, listening: socket.socket, server: web.Server) -> None:
        for _ in range(MAX_ACCEPTS):
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                return
            except OSError:
                self.ended["accept_failed"] += 1
                self._pause(listening, server)
                return
            self._open_connection(sock, server)

    def _pause(self, listening: socket.socket, server: web.Server) -> None:
        """Stop accepting for ACCEPT_RETRY seconds; the readable queue would keep the loop busy."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def resume() -> None:
            if listening.fileno() >= 0:
                loop.add_reader(listening, self._accept, listening, server)

        loop.call_later(ACCEPT_RETRY, resume)

    def _open_connection(self, sock: socket.socket, server: web.Server) -> None:
        if len(self._open) >= self._limit and not self._evict():
            self.ended["refused"] += 1
            sock.close()
            return
        sock.setblocking(False)
        handler = QuietHandler(server, lambda: self.ended.update(("malformed",)), **REQUEST_LIMITS)
        connection = Connection(handler, sock, self._forget)
        self._open[connection.handler] = connection
        task = asyncio.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _evict(self) -> bool:
        """End the longest waiting connection; return False if all are being answered."""
        waiting = [c for c in self._open.values() if c.phase is not Phase.ANSWER]
        if waiting:
            self._end(min(waiting, key=lambda connection: connection.since), "evicted")
        return bool(waiting)

    def _end(self, connection: Connection, reason: str) -> None:
        self.ended[reason] += 1
        connection.end()
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._open.pop(connection.handler, None)

    async def _connect(self, connection: Connection) -> None:
        context = self._security.state.context
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                connection.sock,
                ssl=context,
                ssl_handshake_timeout=DEADLINES[Phase.HANDSHAKE] if context else None,
            )
        except OSError:  # TLS errors and the timeout are subclasses
            if self._open.get(connection.handler):  # otherwise already ended and counted
                self.ended["handshake_failed"] += 1
            connection.sock.close()
            self._forget(connection)

    @web.middleware
    async def _mark(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = self._open.get(request.protocol)
        if connection is None:  # already ended
            return await handler(request)
        with connection.request():
            return await handler(request)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = time.monotonic()
            for connection in [c for c in self._open.values() if c.overdue(now)]:
                self._end(connection, connection.phase.value)
