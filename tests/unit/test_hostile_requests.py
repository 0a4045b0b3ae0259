"""Arbitrary bytes sent to the server: it answers or closes the connection, and keeps running."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pktexp.web import connection, connections
from pktexp.web.app import Source, make_app
from pktexp.web.connection import Phase
from pktexp.web.connections import Connections
from pktexp.web.listen import listen
from pktexp.web.security import Security
from support.patience import joined

TIMEOUT = 30  # seconds
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
WORDS = (
    *(b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"PRI * ", b"CONNECT ", b"\x16\x03\x01"),
    *(
        b"/metrics",
        b"/healthz",
        b"/",
        b"/%00",
        b"/../etc/passwd",
        b"//h",
        b"*",
        b"/?a=%zz",
        b"http://[",
    ),
    *(b" HTTP/1.1\r\n", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9.9\r\n", b" HTTP/1.1\n"),
    *(
        b"Host: h\r\n",
        b"Host: \xff\r\n",
        b": \r\n",
        b"A" * 9000,
        b"X: y\r\n" * 70,
        b"\r\n",
        b"\r\n\r\n",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"ffffffffffffffff\r\n",
        b"0\r\n\r\n",
        b"5;a=b\r\nhello\r\n",
    ),
    *(
        b"Expect: 100-continue\r\n",
        b"Expect: \xfe\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    ),
    *(
        b"Accept: application/openmetrics-text; version=\xc2\xb2\r\n",
        b"Accept: ;;,,version=;q=x\r\n",
    ),
    *(
        b"Accept: application/openmetrics-text;version=1.0.0;q=0.5;escaping=\r\n",
        b"Range: bytes=9-1\r\n",
    ),
    *(b"Accept-Encoding: gzip;q=nan\r\n", b"Content-Encoding: gzip\r\n", b"Cookie: \0\r\n"),
    *(
        b"Authorization: Basic =\r\n",
        b"Authorization: Basic YTpi\r\n",
        b"Authorization: Basic /w==\r\n",
    ),
)
SENT = st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=16).map(b"".join)


@dataclass
class Served:
    """A server in a separate thread, and the errors of its event loop."""

    address: tuple[str, int]
    connections: Connections
    loop: asyncio.AbstractEventLoop
    errors: list[dict[str, Any]] = field(default_factory=list)

    def exchange(self, sent: bytes) -> bytes:
        """Return the bytes that the server sends until it closes the connection."""
        answers = []
        with (
            contextlib.suppress(ConnectionError),  # slow clients are reset
            socket.create_connection(self.address, TIMEOUT) as client,
        ):
            client.sendall(sent)
            while answer := client.recv(1 << 16):
                answers.append(answer)
        return b"".join(answers)


async def serve(security: Security, up: list[Served], ready: threading.Event) -> None:
    async def flush() -> None: ...

    async with AsyncExitStack() as stack:
        listening = listen("127.0.0.1", 0)
        made = Connections(64, security)
        app = make_app(Source(CollectorRegistry(), [], [], flush, str), security, "/metrics")
        loop = asyncio.get_running_loop()
        served = Served(listening.getsockname(), made, loop)
        loop.set_exception_handler(lambda _, context: served.errors.append(context))
        await stack.enter_async_context(made.answering(app, listening))
        up.append(served)
        ready.set()
        await asyncio.Event().wait()


@pytest.fixture(scope="module", params=["open", "guarded"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        for phase in (Phase.REQUEST, Phase.IDLE, Phase.UNREAD):
            patch.setitem(connection.DEADLINES, phase, 0.05)
        patch.setattr(connections, "SWEEP_INTERVAL", 0.01)
        security = Security(None)
        if request.param == "guarded":
            path = tmp_path_factory.mktemp("web") / "web.yaml"
            write_users(path)
            security = Security(path)
            security.read()
        up, ready = list[Served](), threading.Event()
        loop = uvloop.new_event_loop()
        task = loop.create_task(serve(security, up, ready))
        thread = threading.Thread(target=run, args=(loop, task))
        thread.start()
        assert ready.wait(TIMEOUT)
        yield up[0]
        loop.call_soon_threadsafe(task.cancel)
        joined(thread)


def run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with asyncio.Runner(loop_factory=lambda: loop), contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


def write_users(path: Path) -> None:
    path.write_text(f"basic_auth_users: {{a: '{bcrypt.hashpw(b'b', bcrypt.gensalt(4)).decode()}'}}")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=SENT)
@example(
    sent=b"GET /metrics HTTP/1.1\r\nHost: h\r\n"
    b"Accept: application/openmetrics-text; version=\xb2\r\n\r\n"
)
@example(sent=b"no request\r\n\r\n")
@example(sent=b"CONNECT \r\n\r\n")
@example(sent=b"GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Basic /w==\r\n\r\n")
def test_any_bytes_get_an_answer_or_a_counted_close(
    served: Served, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    before = served.connections.ended.total()
    malformed = served.connections.ended["malformed"]
    answer = served.exchange(sent)
    counted = served.connections.ended["malformed"] - malformed
    assert counted >= answer.count(b"malformed HTTP request")  # a reset may overtake the answer
    assert b"HTTP/1.1 5" not in answer
    assert b"HTTP/1.0 5" not in answer
    assert answer or served.connections.ended.total() > before
    assert not served.errors
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    # On a busy machine even a health check may miss the short deadlines of this test.
    assert any(served.exchange(HEALTH).startswith(b"HTTP/1.1 ") for _ in range(50))
