"""The story of `pktexp serve`: load, attach, read, serve, and close it all in reverse.

Settings come from cli.py. Whatever can fail fails before "ready"; from then on failures are counted
by those that meet them, and shown by selfmetrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from pktexp import __version__, privileges
from pktexp.flows import FlowTable
from pktexp.grouping import FlowMode
from pktexp.interfaces import Interfaces, NameFilter
from pktexp.kernel import libbpf
from pktexp.kernel.datapath import Datapath, DatapathOptions
from pktexp.kernel.links import LinkMonitor
from pktexp.metrics import TrafficCollector
from pktexp.reader import Reader, flush
from pktexp.selfmetrics import SelfCollector
from pktexp.settings import Settings
from pktexp.web.app import Source, make_app
from pktexp.web.listen import listen, url

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged
GRACE = 1.0  # seconds that requests under way get at the end


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; PktexpError or BpfError if it cannot start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        privileges.require()
        _allow_open_files()
        lib = libbpf.find()
        listening = stack.enter_context(listen(settings.listen, settings.port))
        datapath = Datapath(lib, _options(settings))
        stack.callback(datapath.close)
        log.info(
            "pktexp %s with libbpf %s (%s); counters %d KiB, rings %d KiB of kernel memory",
            __version__,
            lib.version,
            lib.path,
            datapath.counter_bytes >> 10,
            len(datapath.rings) * settings.ring_size >> 10,
        )
        monitor = LinkMonitor()
        stack.callback(monitor.close)
        interfaces = _attach(datapath, monitor, settings)
        flows = _flow_table(settings)
        readers = await stack.enter_async_context(_reading(datapath, flows))
        await stack.enter_async_context(_background(interfaces.follow()))
        registry = CollectorRegistry()
        registry.register(TrafficCollector(interfaces, flows))
        registry.register(
            SelfCollector(__version__, lib.version, datapath, interfaces, flows, readers)
        )
        ProcessCollector(registry=registry)
        source = Source(
            registry,
            flush=lambda: flush(readers, FLUSH),
            ready=lambda: _missing(interfaces, readers),
        )
        await stack.enter_async_context(_answering(source, listening))
        log.info("ready: %s", url(listening))
        await stop.wait()
        log.info("stopping")


def _allow_open_files() -> None:
    """Every interface takes a file descriptor, more than the usual soft limit of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _options(settings: Settings) -> DatapathOptions:
    return DatapathOptions(
        slots=settings.max_interfaces,
        rings=settings.workers,
        ring_size=settings.ring_size,
        events=settings.flows is not FlowMode.OFF,
    )


def _attach(datapath: Datapath, monitor: LinkMonitor, settings: Settings) -> Interfaces:
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    interfaces = Interfaces(datapath, monitor, wanted)
    interfaces.warn_of_idle_globs()
    interfaces.reconcile()
    return interfaces


def _flow_table(settings: Settings) -> FlowTable | None:
    if settings.flows is FlowMode.OFF:
        return None
    return FlowTable(settings.flows, settings.max_flows)


def _missing(interfaces: Interfaces, readers: Sequence[Reader]) -> str:
    if not all(reader.alive for reader in readers):
        return "a ring buffer is not being read"
    return "" if interfaces.attached else "no interface could be attached to"


@asynccontextmanager
async def _reading(datapath: Datapath, flows: FlowTable | None) -> AsyncIterator[list[Reader]]:
    """A reader for each ring, with a thread to merge in."""
    if flows is None:
        yield []
        return
    async with AsyncExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(len(datapath.rings), "merge"))
        readers = [Reader(ring, flows, executor) for ring in datapath.rings]
        for reader in readers:
            await stack.enter_async_context(_background(reader.run()))
        yield readers


@asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs beside the body, and ends with it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _answering(source: Source, listening: socket) -> AsyncIterator[None]:
    runner = web.AppRunner(make_app(source), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()
