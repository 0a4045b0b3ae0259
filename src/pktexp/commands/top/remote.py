"""Events from a running service, read from its /api/v1/stream."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import orjson

from pktexp.commands.top.events import Event, Query
from pktexp.errors import PktexpError

TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_read=10)
END = b"\n\n"
HINTS = {
    HTTPStatus.UNAUTHORIZED: "give --user NAME, and set PKTEXP_TOP_PASSWORD",
    HTTPStatus.FORBIDDEN: "give a certificate that the service allows: --cert and --key",
    HTTPStatus.NOT_FOUND: "check that pktexp serves there; --url is its address without /metrics",
}


@dataclass(frozen=True)
class Credentials:
    """What the client presents to the service; without `ca_file` the system's CAs are trusted."""

    user: str = ""
    password: str = ""
    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Build the TLS context. Raises PktexpError if a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:  # ssl.SSLError is an OSError
            message = f"{self.cert or self.ca_file}: {error.strerror or error}"
            raise PktexpError(message, "give PEM files to --ca-file, --cert and --key") from error
        return context


class Remote:
    """Events of `pktexp serve` at a URL."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.where = url
        self._stream = f"{url.rstrip('/')}/api/v1/stream"
        self._context = credentials.context()
        self._headers = {}
        if credentials.user:
            login = aiohttp.encode_basic_auth(credentials.user, credentials.password)
            self._headers["Authorization"] = login

    async def events(self, query: Query) -> AsyncIterator[Event]:
        """Yield events until the connection ends; then raises PktexpError with the reason."""
        connector = aiohttp.TCPConnector(ssl=self._context)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, headers=self._headers, timeout=TIMEOUT
                ) as session,
                session.get(self._stream, params=query) as answer,
            ):
                await _require(answer)
                async for event in _parsed(answer):
                    yield event
        except TimeoutError as error:
            hint = "check the load of its machine, and the network"
            raise PktexpError(f"{self.where} does not answer in time", hint) from error
        except (aiohttp.ClientError, OSError) as error:
            hint = "check that pktexp serves there; --url is its address, such as http://localhost:8080/"
            raise PktexpError(f"{self.where}: {error}", hint) from error
        raise PktexpError(f"{self.where} ended the stream", "check whether it was stopped")


async def _require(answer: aiohttp.ClientResponse) -> None:
    if answer.status == HTTPStatus.OK and answer.content_type == "text/event-stream":
        return
    status = HTTPStatus.NOT_FOUND if answer.status == HTTPStatus.OK else HTTPStatus(answer.status)
    said = f"{answer.status} {answer.reason}"
    if answer.content_type == "application/json":
        said = (await answer.json()).get("error", said)
    raise PktexpError(
        f"{answer.url.origin()}: {said}", HINTS.get(status, "check the log of the service")
    )


async def _parsed(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    waiting = b""
    async for chunk in answer.content.iter_any():
        *whole, waiting = (waiting + chunk).split(END)
        for text in whole:
            event: Event = orjson.loads(text.partition(b"data: ")[2])
            yield event
