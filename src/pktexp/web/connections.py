"""Accepts connections, a bounded number of them, and ends those whose clients dawdle.

aiohttp waits for a request as long as it takes; here clients have deadlines (connection.py), and
when all places are taken the one that has waited longest makes room: a scrape always gets one.
service.py starts it, and security.py says whether a connection has TLS.
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
from pktexp.web.connection import LIMITS, Connection, Phase, QuietHandler
from pktexp.web.security import Security

BURST = 64  # connections accepted before others have their turn
SWEEP = 1.0  # seconds between looks at deadlines
RETRY = 0.5  # seconds until the next try to accept, when none can be (no file descriptors)
GRACE = 1.0  # seconds that requests under way get at the end
# Headers of a request, and bytes of its first line and of each header.
LARGEST = {"max_headers": 64, "max_line_size": 8190, "max_field_size": 8190}


class Connections:
    """At most `limit` at a time; `ended` counts, by reason, those that clients did not end."""

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
        """Requests to `app` are answered beside the body."""
        # Behind access.py: who has yet to be let in can still be made to leave.
        app.middlewares.append(self._mark)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        assert runner.server
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
        for _ in range(BURST):
            try:
                sock, _ = listening.accept()
            except BlockingIOError:
                return
            except OSError:
                self.ended["accept_failed"] += 1
                self._pause(listening, server)
                return
            self._welcome(sock, server)

    def _pause(self, listening: socket.socket, server: web.Server) -> None:
        """The queue stays readable: without a pause the loop would do nothing else."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def resume() -> None:
            if listening.fileno() >= 0:
                loop.add_reader(listening, self._accept, listening, server)

        loop.call_later(RETRY, resume)

    def _welcome(self, sock: socket.socket, server: web.Server) -> None:
        if len(self._open) >= self._limit and not self._make_room():
            self.ended["refused"] += 1
            sock.close()
            return
        sock.setblocking(False)
        handler = QuietHandler(server, lambda: self.ended.update(("malformed",)), **LARGEST)
        connection = Connection(handler, sock, self._forget)
        self._open[connection.handler] = connection
        task = asyncio.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _make_room(self) -> bool:
        """False if all are being answered."""
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
                ssl_handshake_timeout=LIMITS[Phase.HANDSHAKE] if context else None,
            )
        except OSError:  # TLS's errors are of this kind, and the time running out
            if self._open.get(connection.handler):  # else it has been ended
                self.ended["handshake_failed"] += 1
            connection.sock.close()
            self._forget(connection)

    @web.middleware
    async def _mark(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = self._open.get(request.protocol)
        if connection is None:  # ended meanwhile
            return await handler(request)
        with connection.request():
            return await handler(request)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for connection in [c for c in self._open.values() if c.overdue(now)]:
                self._end(connection, connection.phase.value)
