"""One HTTP connection, between its transport and aiohttp's handler; kept by connections.py."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator
from enum import Enum
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

log = logging.getLogger(__name__)


class Phase(Enum):
    """What a connection waits for."""

    HANDSHAKE = "slow_handshake"
    REQUEST = "slow_request"
    IDLE = "idle"
    ANSWER = "answer"
    UNREAD = "slow_reader"


# Seconds; there is none for an answer. Prometheus keeps its connection, and by default scrapes
# each minute.
LIMITS = {Phase.HANDSHAKE: 10.0, Phase.REQUEST: 10.0, Phase.IDLE: 120.0, Phase.UNREAD: 30.0}
RESET = struct.pack("ii", 1, 0)  # as SO_LINGER has it: on, for no time


class QuietHandler(RequestHandler):
    """aiohttp's, but that what is no HTTP is counted, not logged: strangers write it."""

    def __init__(self, server: web.Server, malformed: Callable[[], None], **limits: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, access_log=None, **limits)  # type: ignore[arg-type]  # it may be None
        self._malformed = malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer, after which the connection is closed."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._malformed()
        log.debug("no request: %s", exc)
        answer = web.Response(status=status, text="this is no request\n")
        answer.force_close()
        return answer


class Connection(asyncio.Protocol):
    """Hands on to `handler` what comes; `lost` is told when it is over."""

    def __init__(
        self, handler: RequestHandler, sock: socket.socket, lost: Callable[[Connection], None]
    ) -> None:
        self.handler = handler
        self.sock = sock
        self._lost = lost
        self._requests = 0
        self._transport: asyncio.WriteTransport | None = None
        self._enter(Phase.HANDSHAKE)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, time.monotonic()

    def overdue(self, now: float) -> bool:
        """Whether it has waited too long at `now`, by the monotonic clock."""
        return now > self.since + LIMITS.get(self.phase, math.inf)

    def end(self) -> None:
        """Whatever it is at, and at once: neither transport nor kernel keeps what is not taken."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if self._transport:
                self._transport.abort()
            else:  # in the handshake, which finds its socket shut
                self.sock.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Around the answering of a request."""
        self._requests += 1
        self._enter(Phase.ANSWER)
        try:
            yield
        finally:
            self._requests -= 1
            if self.phase is Phase.ANSWER:
                self._enter(Phase.IDLE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and TLS agreed on."""
        # uvloop's transports do what asyncio's do, and are none by their class.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._enter(Phase.REQUEST)
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """The first bytes of a request start its time; later ones give it no more."""
        if self.phase is Phase.IDLE:
            self._enter(Phase.REQUEST)
        self.handler.data_received(data)

    def pause_writing(self) -> None:
        """The client does not take the answer as fast as it is written."""
        self._enter(Phase.UNREAD)
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """It has taken some."""
        self._enter(Phase.ANSWER if self._requests else Phase.IDLE)
        self.handler.resume_writing()

    def eof_received(self) -> None:
        """The client has nothing more to say."""
        self.handler.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Over."""
        self._lost(self)
        self.handler.connection_lost(exc)
