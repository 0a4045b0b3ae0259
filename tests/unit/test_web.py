"""Metrics, health and the landing page, with a separate registry."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import select
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from pktexp.web.app import Source, make_app
from pktexp.web.listen import listen, url
from pktexp.web.security import Security
from pktexp.web.sharedpage import SharedPage
from support.patience import until

Client = TestClient[web.Request, web.Application]


class Backend:
    """The data behind the handlers; tests change it."""

    missing = ""

    def __init__(self) -> None:
        self.flushes = 0
        self.written: list[str] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def flush(self) -> None:
        self.flushes += 1
        await self.may_go_on.wait()

    def drops(self, openmetrics: bool) -> str:
        self.written.append("drops")
        name = "drops" if openmetrics else "drops_total"
        return f"# HELP {name} Drops.\n# TYPE {name} counter\ndrops_total 2\n"

    def flows(self, openmetrics: bool) -> str:
        self.written.append("flows")
        name = "flows" if openmetrics else "flows_total"
        return f"# HELP {name} Flows.\n# TYPE {name} counter\nflows_total 5\n"


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[Client]:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    pages, independent = [backend.flows], [backend.drops]
    source = Source(registry, pages, independent, backend.flush, lambda: backend.missing)
    headers = {"Accept-Encoding": "identity"}
    async with TestClient(
        TestServer(make_app(source, Security(None), "/metrics")),
        auto_decompress=False,
        headers=headers,
    ) as made:
        yield made


async def test_metrics_default_to_text_and_flush_events_first(
    client: Client, backend: Backend
) -> None:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "things_total 3.0" in await answer.text()
    assert "flows_total 5" in await answer.text()
    assert backend.flushes == 1


async def test_page_is_written_during_the_flush_but_for_the_flows(
    client: Client, backend: Backend
) -> None:
    backend.may_go_on.clear()
    asking = asyncio.create_task(client.get("/metrics"))
    await until(lambda: backend.written == ["drops"])
    backend.may_go_on.set()
    text = await (await asking).text()
    assert backend.written == ["drops", "flows"]
    assert text.index("flows_total 5") < text.index("drops_total 2") < text.index("things_total 3")


async def test_metrics_are_openmetrics_on_request(client: Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    answer = await client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = await answer.text()
    assert text.endswith("# EOF\n")
    families = list(parse_openmetrics(text))
    assert {family.name for family in families} >= {"things"}


@pytest.mark.parametrize(
    "version", ["x7y", "1.x", "1.2.3", "9", "1.0.0 1", ";", "1.0.0;escaping=9"]
)
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
async def test_unknown_format_versions_get_a_known_one(
    client: Client, kind: str, version: str
) -> None:
    answer = await client.get("/metrics", headers={"Accept": f"{kind};version={version}"})
    assert answer.status == 200
    assert answer.headers["Content-Type"].split("version=")[1].split(";")[0] in ("0.0.4", "1.0.0")


async def test_metrics_are_compressed_for_clients_that_accept_gzip(client: Client) -> None:
    plain = await (await client.get("/metrics")).read()
    answer = await client.get("/metrics", headers={"Accept-Encoding": "deflate, gzip;q=1.0"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert b"things_total 3.0" in gzip.decompress(await answer.read())
    assert b"things_total 3.0" in plain


@pytest.mark.parametrize("codings", ["gzip;q=0", "GZIP;Q=0.0, *", "identity, gzip;q=0.1", ""])
async def test_metrics_are_plain_for_clients_that_refuse_gzip(client: Client, codings: str) -> None:
    answer = await client.get("/metrics", headers={"Accept-Encoding": codings})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert b"things_total 3.0" in await answer.read()


async def test_accept_headers_on_several_lines_are_one(client: Client) -> None:
    lines = [("Accept", "text/plain;q=0.1"), ("Accept", "APPLICATION/OpenMetrics-Text;q=0.2")]
    answer = await client.get("/metrics", headers=CIMultiDict(lines))
    assert answer.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    )


async def test_unacceptable_formats_are_answered_with_text(client: Client) -> None:
    answer = await client.get("/metrics", headers={"Accept": "image/png, */*;q=0"})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_simultaneous_scrapes_share_a_page(client: Client, backend: Backend) -> None:
    backend.may_go_on.clear()
    scrapes = [asyncio.create_task(client.get("/metrics")) for _ in range(20)]
    assert client.server.runner
    server = client.server.runner.server
    assert server
    await until(lambda: server.requests_count == len(scrapes))
    backend.may_go_on.set()
    assert {(await scrape).status for scrape in scrapes} == {200}
    assert backend.flushes == 2  # for the first scrape, and for all that came during its rendering


async def test_a_scrape_never_shares_an_earlier_rendering() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    rendered = 0

    async def render() -> bytes:
        nonlocal rendered
        rendered += 1
        begun.set()
        await go.wait()
        return str(rendered).encode()

    shared = SharedPage(render)
    first = asyncio.create_task(shared.page())
    await begun.wait()
    later = [asyncio.create_task(shared.page()) for _ in range(3)]
    await asyncio.sleep(0)
    go.set()
    assert (await first).text == b"1"
    assert [(await page).text for page in later] == [b"2"] * 3


async def test_scrape_durations_are_measured(client: Client) -> None:
    await client.get("/metrics")
    text = await (await client.get("/metrics")).text()
    assert "pktexp_scrape_duration_seconds_count 1.0" in text


async def test_healthz_responds_while_not_ready(client: Client, backend: Backend) -> None:
    backend.missing = "something"
    assert (await client.get("/healthz")).status == 200


async def test_readyz_gives_the_reason(client: Client, backend: Backend) -> None:
    assert (await client.get("/readyz")).status == 200
    backend.missing = "a ring buffer is not being read"
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert await answer.text() == "a ring buffer is not being read\n"


async def test_the_landing_page_links_to_metrics_and_health(client: Client) -> None:
    answer = await client.get("/")
    assert answer.content_type == "text/html"
    text = await answer.text()
    for path in ("./metrics", "healthz", "readyz"):
        assert f'href="{path}"' in text
        assert (await client.get(f"/{path}")).status == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz"])
async def test_other_origins_can_neither_read_nor_write(client: Client, path: str) -> None:
    origin = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    for method, status in (("GET", 200), ("OPTIONS", 405), ("POST", 405), ("DELETE", 405)):
        answer = await client.request(method, path, headers=origin)
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


async def test_unknown_paths_are_404(client: Client) -> None:
    assert (await client.get("/nothing")).status == 404


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("", "http://localhost:")],
)
def test_port_0_picks_a_port_and_the_url_names_it(address: str, expected: str) -> None:
    with listen(address, 0) as listening:
        assert url(listening, "http") == f"{expected}{listening.getsockname()[1]}/"


def test_the_backlog_holds_hundreds_of_connections() -> None:
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(listen("127.0.0.1", 0)).getsockname()
        waiting = select.poll()
        for _ in range(500):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
            waiting.register(client, select.POLLOUT)
        connected = waiting.poll(1000)  # immediate on loopback while the backlog has room
        assert len(connected) == 500
