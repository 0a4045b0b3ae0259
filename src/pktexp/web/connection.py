"""One HTTP connection: its phase, its deadline, and aiohttp's handler behind it."""

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
from typing import Any, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from yarl import URL

log = logging.getLogger(__name__)


class Phase(Enum):
    """The current state of a connection; the value is the reason when its deadline ends it."""

    HANDSHAKE = "slow_handshake"
    REQUEST = "slow_request"
    IDLE = "idle"
    ANSWER = "answer"
    UNREAD = "slow_reader"


# Seconds in a phase; ANSWER has no deadline. Prometheus keeps its connection between scrapes, one
# minute by default.
DEADLINES = {Phase.HANDSHAKE: 10.0, Phase.REQUEST: 10.0, Phase.IDLE: 120.0, Phase.UNREAD: 30.0}
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


class QuietHandler(RequestHandler):
    """aiohttp's handler, which counts malformed requests instead of logging what strangers send."""

    def __init__(self, server: web.Server, malformed: Callable[[], None], **limits: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, access_log=None, **limits)  # type: ignore[arg-type]  # None is allowed
        self._malformed = malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to a request that failed; the connection then closes."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        self._malformed()
        log.debug("malformed request: %s", exc)
        response = web.Response(status=status, text="malformed HTTP request\n")
        response.force_close()
        return response


def with_target(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Return a request factory that gives requests without a target the target "/".

    aiohttp 3.14 parses `CONNECT` without a target to a message without a URL, and then fails to
    make a request of it, with a traceback in the log.
    """

    def make_request(message: RawRequestMessage, *context: Any) -> web.BaseRequest:
        if not message.path:
            message = message._replace(path="/", url=URL("/"), should_close=True)
        return make(message, *context)

    return make_request


class Connection(asyncio.Protocol):
    """Pass events to `handler` and track the phase; call `lost` when the connection is over."""

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
        """Return whether the deadline of the phase has passed at `now` (monotonic seconds)."""
        return now > self.since + DEADLINES.get(self.phase, math.inf)

    def end(self) -> None:
        """Reset the connection at once, in any phase; unsent data is discarded."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if self._transport:
                self._transport.abort()
            else:  # during the handshake, which then fails
                self.sock.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Mark a request as being answered while the context is open."""
        self._requests += 1
        self._enter(Phase.ANSWER)
        try:
            yield
        finally:
            self._requests -= 1
            if self.phase is Phase.ANSWER:
                self._enter(Phase.IDLE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a request; the TLS handshake is complete."""
        # uvloop's transports implement the protocol, but are no subclass.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._enter(Phase.REQUEST)
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Start the request's deadline at its first bytes; later bytes do not extend it."""
        if self.phase is Phase.IDLE:
            self._enter(Phase.REQUEST)
        self.handler.data_received(data)

    def pause_writing(self) -> None:
        """Start the deadline of a client that reads slower than the response is written."""
        self._enter(Phase.UNREAD)
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Return to the phase before the pause; the client has caught up."""
        self._enter(Phase.ANSWER if self._requests else Phase.IDLE)
        self.handler.resume_writing()

    def eof_received(self) -> None:
        """Pass on that the client sends nothing more."""
        self.handler.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the end to `lost` and to the handler."""
        self._lost(self)
        self.handler.connection_lost(exc)
