"""The story of `pktexp serve`: load, attach, read, serve, and close it all in reverse.

Settings come from cli.py, the parts from assembly.py. Whatever can fail fails before "ready"; from
then on failures are counted by those that meet them, and shown by selfmetrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from pktexp import __version__, assembly, privileges
from pktexp.attribution import Attribution
from pktexp.dropmetrics import DropCollector
from pktexp.flowpage import FlowPage
from pktexp.infometrics import InterfaceCollector
from pktexp.interfaces import Interfaces
from pktexp.kernel import libbpf
from pktexp.kernel.datapath import Datapath
from pktexp.kernel.links import LinkMonitor
from pktexp.live.live import Live
from pktexp.live.sample import Parts
from pktexp.live.status import Status
from pktexp.livemetrics import LiveCollector
from pktexp.metrics import TrafficPage
from pktexp.reloading import Reloader
from pktexp.reloadmetrics import ReloadCollector
from pktexp.selfmetrics import SelfCollector
from pktexp.settings import Settings
from pktexp.tasks import background
from pktexp.web.api import PREFIX, make_api
from pktexp.web.app import Source, make_app
from pktexp.web.listen import listen, url

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged
THREADS = 2  # for pages and netlink: more would not be faster, and each keeps memory of its own
GRACE = 1.0  # seconds that requests under way get at the end


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; PktexpError or BpfError if it cannot start."""
    stop, hangup = _signals()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    async with AsyncExitStack() as stack:
        privileges.require()
        _allow_open_files()
        lib = libbpf.find()
        reloader = Reloader()
        listening = stack.enter_context(listen(settings.listen, settings.port))
        datapath = Datapath(lib, assembly.datapath_options(settings))
        stack.callback(datapath.close)
        log.info("pktexp %s with libbpf %s (%s)", __version__, lib.version, lib.path)
        assembly.log_memory(datapath)
        monitor = LinkMonitor()
        stack.callback(monitor.close)
        interfaces = assembly.attach(datapath, monitor, settings)
        attribution = await stack.enter_async_context(assembly.attribute(datapath, settings))
        await stack.enter_async_context(background(interfaces.follow()))
        registry = CollectorRegistry()
        information = InterfaceCollector(interfaces)
        traced = [*assembly.trace(stack, lib, datapath, interfaces)]
        drops = next((tracer for tracer in traced if isinstance(tracer, DropCollector)), None)
        live = await stack.enter_async_context(
            assembly.live(
                Parts(interfaces, attribution, information, drops),
                Status(lib.version, lambda: _missing(interfaces, attribution), settings, datapath),
                flush=lambda: _flush(attribution),
            )
        )
        collectors = (
            information,
            *traced,
            LiveCollector(live),
            SelfCollector(__version__, lib.version, datapath, interfaces, attribution),
            ReloadCollector(reloader),
        )
        for collector in collectors:
            registry.register(collector)
        ProcessCollector(registry=registry)
        totals = TrafficPage(interfaces)
        source = Source(
            registry,
            pages=[*([FlowPage(interfaces, attribution.flows)] if attribution else []), totals],
            flush=lambda: _flush(attribution),
            ready=lambda: _missing(interfaces, attribution),
        )
        await stack.enter_async_context(_answering(source, live, listening))
        await stack.enter_async_context(background(_reload_at(hangup, reloader)))
        log.info("ready: %s", url(listening))
        await stop.wait()
        log.info("stopping")


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set when it is to stop, and when it is to read its files again."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    events = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: hangup}
    for number, event in events.items():
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return stop, hangup


async def _reload_at(hangup: asyncio.Event, reloader: Reloader) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await reloader.reload()


def _allow_open_files() -> None:
    """Every interface takes a file descriptor, more than the usual soft limit of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _flush(attribution: Attribution | None) -> None:
    if attribution:
        await attribution.flush(FLUSH)


def _missing(interfaces: Interfaces, attribution: Attribution | None) -> str:
    if attribution and not attribution.alive:
        return "a ring buffer is not being read"
    return "" if interfaces.attached else "no interface could be attached to"


@asynccontextmanager
async def _answering(source: Source, live: Live, listening: socket) -> AsyncIterator[None]:
    app = make_app(source)
    app.add_subapp(PREFIX, make_api(live))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()
