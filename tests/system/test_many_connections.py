"""Thousands of connections that want nothing, or take their time, beside a scrape."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.api import Reader
from support.service.certificates import Authority, trusting
from support.service.process import Service, parse, select, serving, total
from support.service.secured import ask

LIMIT = 512  # the default of --web.max-connections
CROWD = 1000
# Of each kind: what a client sends at once.
KINDS = {"idle": b"", "slow": b"GET /metrics HTTP/1.1\r\nHost: h\r\nX-Slow: "}


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def crowd(service: Service, sent: bytes) -> Iterator[list[socket.socket]]:
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    with contextlib.ExitStack() as stack, service.namespace.entered():
        clients = []
        for _ in range(CROWD):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            client.setblocking(False)
            with contextlib.suppress(OSError):
                client.send(sent)
            clients.append(client)
        yield clients


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("kind", KINDS)
def test_scrapes_succeed_beside_a_thousand_connections(
    namespaces: Callable[[], Namespace], kind: str
) -> None:
    with serving(namespaces()) as service, crowd(service, KINDS[kind]) as clients:
        for _ in range(10):
            for client in clients:  # those that are still there send a byte more
                with contextlib.suppress(OSError):
                    client.send(b"x" if kind == "slow" else b"")
            page = service.page()
        assert total(page, "pktexp_http_connections") <= LIMIT
        ended = total(page, "pktexp_http_connections_ended_total", reason="evicted")
        assert ended >= CROWD - LIMIT


@pytest.mark.usefixtures("many_files")
def test_scrapes_succeed_beside_a_thousand_handshakes(
    namespaces: Callable[[], Namespace], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", "localhost")
    config = tmp_path / "web.yml"
    config.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    with (
        serving(namespaces(), "--web.config.file", str(config)) as service,
        crowd(service, b"\x16\x03\x01\x02"),
    ):
        context = trusting(tmp_path, None)
        for _ in range(10):
            status, text, _ = ask(service, "metrics", context, None)
            assert status == 200
        page = parse(text)
        assert total(page, "pktexp_http_connections") <= LIMIT
        assert select(page, "pktexp_http_connections_ended_total", reason="evicted")


@pytest.mark.usefixtures("many_files")
def test_an_active_stream_survives_a_thousand_connections(
    namespaces: Callable[[], Namespace],
) -> None:
    with serving(namespaces()) as service, contextlib.closing(Reader(service)) as reader:
        events = reader.events()
        first = next(events)
        with crowd(service, b""):
            page = service.page()
            assert select(page, "pktexp_http_connections_ended_total", reason="evicted")
            assert [next(events)["now"] > first["now"] for _ in range(3)] == [True] * 3


@pytest.mark.usefixtures("many_files")
def test_closed_connections_leave_no_open_files(
    namespaces: Callable[[], Namespace],
) -> None:
    with serving(namespaces()) as service:
        service.page()
        before = service.open_files()
        with crowd(service, b""):
            service.page()
        wait_for(lambda: service.open_files() <= before)
        assert service.messages("ERROR", "WARNING") == []
