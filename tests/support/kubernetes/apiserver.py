"""A server that lists and watches pods as a Kubernetes API server does, in a thread of its own.

podstore.py is its memory; podshapes.py has the objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from support.kubernetes import podshapes
from support.kubernetes.podshapes import NODE, Object
from support.kubernetes.podstore import PodStore
from support.patience import PATIENCE, joined

TOKEN = "first-token"
UNAUTHORIZED = podshapes.status(401, "Unauthorized", "Unauthorized")


class ApiServer:
    """A server of pods. `asked`: parameters of each request; `refusal`: if set, every answer."""

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self.port: int = listening.getsockname()[1]
        self.store = PodStore()
        self.asked: list[dict[str, str]] = []
        self.watching: set[int] = set()
        self.token = TOKEN
        self.refusal: Object | None = None
        self.gone_as_event = False
        self._ending: dict[int, str] = {}  # number of a watch -> how it is to end
        self._news, self._stop = asyncio.Condition(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening, tls), daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def put(self, *pods: Object) -> None:
        """Add or change pods."""
        for pod in pods:
            self.do(lambda pod=pod: self.store.change(pod))  # type: ignore[misc]

    def delete(self, pod: Object) -> None:
        """Delete a pod."""
        self.do(lambda: self.store.change(pod, gone=True))

    def write(self, line: bytes) -> None:
        """Write a line to all watches."""
        self.do(lambda: self.store.told.append((self.store.version, line)))

    def end_watches(self, how: str = "in time") -> None:
        """End all watches: "in time", or "broken" in the middle of a line."""
        self.do(lambda: self._ending.update(dict.fromkeys(self.watching, how)))

    def do(self, what: Callable[[], Any]) -> None:
        """Change the store and wake the watches; the change is done when the call returns."""

        async def done() -> None:
            async with self._news:
                what()
                self._news.notify_all()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(PATIENCE)

    def close(self) -> None:
        """Stop answering; may be called twice."""
        if self._thread.is_alive():
            self.end_watches("broken")
            self._loop.call_soon_threadsafe(self._stop.set)
            joined(self._thread)

    def _run(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        async def serve() -> None:
            app = web.Application()
            app.router.add_get("/api/v1/pods", self._answer)
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
            await runner.setup()
            await web.SockSite(runner, listening, ssl_context=tls).start()
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        self.asked.append(asked)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _json(UNAUTHORIZED)
        if self.refusal:
            return _json(self.refusal)
        assert asked["fieldSelector"] == f"spec.nodeName={NODE}"
        return await self._watch(request, asked) if "watch" in asked else self._list(asked)

    def _list(self, asked: dict[str, str]) -> web.Response:
        return _json(self.store.page(asked))

    async def _watch(self, request: web.Request, asked: dict[str, str]) -> web.StreamResponse:
        since = int(asked["resourceVersion"])
        forgotten = since < self.store.oldest
        gone = podshapes.status(410, "Expired", f"too old resource version: {since}")
        if forgotten and not self.gone_as_event:
            return _json(gone)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        if forgotten:
            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
        elif await self._tell(response, asked) == "broken":
            await response.write(b'{"type":"MODIFIED","object":{"metadata":{"name":"cut')
            assert request.transport
            request.transport.abort()
        return response

    async def _tell(self, response: web.StreamResponse, asked: dict[str, str]) -> str:
        """Write events since a version until the watch is to end; return how it ends."""
        number, at = len(self.asked), self.store.since(int(asked["resourceVersion"]))
        bookmarks = asked.get("allowWatchBookmarks") == "true"
        self.watching.add(number)
        try:
            while number not in self._ending or at < len(self.store.told):
                for _, line in self.store.told[at:]:
                    at += 1
                    if bookmarks or b'"BOOKMARK"' not in line:
                        await response.write(line + b"\n")
                async with self._news:
                    if number not in self._ending and at == len(self.store.told):
                        await self._news.wait()
        finally:
            self.watching.discard(number)
        return self._ending[number]


def _json(answer: Object) -> web.Response:
    return web.json_response(answer, status=answer.get("code", 200))


@contextlib.contextmanager
def answering(listening: socket.socket, tls: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """Yield a server; close it at the end, unless the test has."""
    server = ApiServer(listening, tls)
    try:
        yield server
    finally:
        server.close()
