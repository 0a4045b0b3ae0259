"""Deadlines and the limit of connections, with plain sockets as clients."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp import web

from pktexp.web import access, connection, connections
from pktexp.web.access import guard
from pktexp.web.connection import Phase
from pktexp.web.connections import Connections
from pktexp.web.listen import listen
from pktexp.web.security import Security
from support.patience import until

LIMIT = 4
LISTENING = "0A"
LARGE = 64 << 20  # more than any socket's buffers
REQUEST = b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"


SLOW = web.AppKey("slow", asyncio.Semaphore)


async def answer(request: web.Request) -> web.Response:
    if request.path == "/slow":
        request.app[SLOW].release()
        await asyncio.sleep(3600)
    return web.Response(body=bytes(LARGE if request.path == "/large" else 10))


@pytest.fixture
def slow() -> asyncio.Semaphore:
    """A semaphore, released by each request that is never answered."""
    return asyncio.Semaphore(0)


@pytest.fixture
async def served(slow: asyncio.Semaphore) -> AsyncIterator[tuple[Connections, tuple[str, int]]]:
    app = web.Application()
    app[SLOW] = slow
    app.router.add_get("/{name}", answer)
    made = Connections(LIMIT, Security(None))
    listening = listen("127.0.0.1", 0)
    address = listening.getsockname()
    async with made.answering(app, listening):
        yield made, address


Served = tuple[Connections, tuple[str, int]]
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Client]]


@pytest.fixture
async def connect(served: Served) -> AsyncIterator[Connect]:
    """A function that opens clients; they are closed at the end."""
    made: list[Client] = []

    async def open_one() -> Client:
        made.append(await asyncio.open_connection(*served[1]))
        return made[-1]

    yield open_one
    for _, writer in made:
        writer.close()


async def ask(client: Client, name: bytes = b"small") -> bytes:
    reader, writer = client
    writer.write(REQUEST % name)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(10)
    return head.split(b"\r\n")[0]


def to_its_end(client: socket.socket) -> bytes:
    """Return the bytes that the server sends until it closes the connection."""
    return b"".join(iter(lambda: client.recv(1000), b""))


async def closed(client: Client) -> bool:
    async with asyncio.timeout(30):
        try:
            return await client[0].read() == b""
        except ConnectionError:
            return True


def kept(port: int) -> list[str]:
    """Return state and queues of the server's connections in the kernel (proc_net(5))."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    local, state = 1, 3
    mine = [row for row in rows if row[local].endswith(f":{port:04X}") and row[state] != LISTENING]
    return [" ".join(row[state : state + 2]) for row in mine]


def limited(monkeypatch: pytest.MonkeyPatch, phase: Phase) -> None:
    """Shorten the deadline of a phase, and check deadlines often."""
    monkeypatch.setitem(connection.DEADLINES, phase, 0.05)
    monkeypatch.setattr(connections, "SWEEP_INTERVAL", 0.01)


async def test_a_connection_answers_several_requests(served: Served, connect: Connect) -> None:
    client = await connect()
    for _ in range(3):
        assert await ask(client) == b"HTTP/1.1 200 OK"
    assert served[0].count == 1
    client[1].close()
    await until(lambda: served[0].count == 0)
    assert not served[0].ended


@pytest.mark.parametrize(
    ("phase", "sent"),
    [(Phase.REQUEST, b""), (Phase.REQUEST, b"GET / HT"), (Phase.UNREAD, REQUEST % b"large")],
)
async def test_slow_clients_are_disconnected(
    monkeypatch: pytest.MonkeyPatch, phase: Phase, sent: bytes
) -> None:
    limited(monkeypatch, phase)
    app = web.Application()
    app.router.add_get("/{name}", answer)
    made = Connections(LIMIT, Security(None))
    listening = listen("127.0.0.1", 0)
    address = listening.getsockname()
    async with made.answering(app, listening):
        with socket.create_connection(address) as client:
            client.sendall(sent)
            await until(lambda: made.ended[phase.value] == 1)
            assert made.count == 0
            await until(lambda: not kept(address[1]))  # the client is still connected


async def test_single_bytes_do_not_extend_the_deadline(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    monkeypatch.setitem(connection.DEADLINES, Phase.REQUEST, 0.5)
    monkeypatch.setattr(connections, "SWEEP_INTERVAL", 0.01)
    with socket.create_connection(served[1]) as client:
        client.sendall(b"GET /small HTTP/1.1\r\nX-Slow: ")

        def drip() -> bool:
            with contextlib.suppress(ConnectionError):  # the server has closed it
                client.send(b"x")
            return served[0].ended["slow_request"] == 1

        await until(drip)


async def test_idle_connections_are_closed_at_their_deadline(
    monkeypatch: pytest.MonkeyPatch, served: Served, connect: Connect
) -> None:
    client = await connect()
    await ask(client)
    limited(monkeypatch, Phase.IDLE)
    assert await closed(client)
    assert served[0].ended == {"idle": 1}


async def test_the_longest_waiting_connection_is_evicted(served: Served, connect: Connect) -> None:
    made, _ = served
    clients = [await connect() for _ in range(LIMIT)]
    for client in clients:
        await ask(client)
    await ask(clients[0])  # the second now waits longest
    newcomer = await connect()
    assert await ask(newcomer) == b"HTTP/1.1 200 OK"
    assert await closed(clients[1])
    for client in (clients[0], *clients[2:]):
        assert await ask(client) == b"HTTP/1.1 200 OK"
    assert made.ended == {"evicted": 1}
    assert made.count == LIMIT


async def test_a_new_connection_is_refused_when_all_are_busy(
    served: Served, connect: Connect, slow: asyncio.Semaphore
) -> None:
    made, _ = served
    for _ in range(LIMIT):
        _, writer = await connect()
        writer.write(REQUEST % b"slow")
    for _ in range(LIMIT):
        await slow.acquire()
    newcomer = await connect()
    assert await closed(newcomer)
    assert made.ended == {"refused": 1}


async def test_password_guessing_does_not_lock_out_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{alice: {hashed}}}")
    security = Security(tmp_path / "web.yml")
    security.read()
    app = web.Application()
    guard(app, security)
    app.router.add_get("/{name}", answer)
    made = Connections(LIMIT, security)
    listening = listen("127.0.0.1", 0)
    address = listening.getsockname()
    go_on = threading.Event()

    asked, original = [], access.Passwords.verify

    async def verify(self: access.Passwords, *question: Any) -> bool:
        asked.append(question)
        return await original(self, *question)

    def ask_for(password: str) -> socket.socket:
        given = base64.b64encode(f"alice:{password}".encode())
        client = socket.create_connection(address, timeout=10)
        client.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\n\r\n" % given)
        return client

    async with made.answering(app, listening):
        with ask_for("right") as client:  # now cached
            assert b"200 OK" in await asyncio.to_thread(client.recv, 1000)
        monkeypatch.setattr(access, "_matches", lambda *_: not go_on.wait(30))
        monkeypatch.setattr(access.Passwords, "verify", verify)
        guessers = [ask_for("wrong") for _ in range(LIMIT)]
        await until(lambda: len(asked) == LIMIT)
        with ask_for("right") as client:
            assert b"200 OK" in await asyncio.to_thread(client.recv, 1000)
        go_on.set()
        answered = await asyncio.to_thread(to_its_end, guessers[-1])
        assert b"401 Unauthorized" in answered
        for guesser in guessers:
            guesser.close()
    assert (set(made.ended), security.refused) == ({"evicted"}, {401: LIMIT})


async def test_accepting_resumes_after_file_descriptors_ran_out(
    monkeypatch: pytest.MonkeyPatch, served: Served, connect: Connect
) -> None:
    made, _ = served
    monkeypatch.setattr(connections, "ACCEPT_RETRY", 0.01)
    accept, failures = socket.socket.accept, [OSError(24, "Too many open files")] * 3

    def fail(self: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fail)
    assert await ask(await connect()) == b"HTTP/1.1 200 OK"
    assert made.ended == {"accept_failed": 3}


async def test_the_loop_does_not_spin_while_accepting_fails(
    monkeypatch: pytest.MonkeyPatch, served: Served, connect: Connect
) -> None:
    def fail(_: socket.socket) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", fail)
    await connect()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert served[0].ended == {"accept_failed": 1}


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno header: 1\r\n\r\n",
    ],
    ids=["line", "count", "header", "tls", "version", "name"],
)
async def test_malformed_and_oversized_requests_get_400_and_no_log_line(
    served: Served, connect: Connect, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await connect()
    writer.write(request_)
    assert b" 400 " in await reader.readline()
    await reader.read()  # to the end: the connection is closed
    assert served[0].ended == {"malformed": 1}
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_connect_without_a_target_is_answered_and_not_logged(
    served: Served, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await connect()
    writer.write(b"CONNECT \r\n\r\n")
    async with asyncio.timeout(5):
        assert b" 404 " in await reader.readline()
        await reader.read()  # to the end: the connection is closed
    assert not served[0].ended
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    for phase in connection.DEADLINES:
        assert f"`{phase.value}`" in page
