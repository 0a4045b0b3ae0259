"""The story of `pktexp serve`: load, attach, read, serve, and close it all in reverse.

Settings come from cli.py. Whatever can fail fails before "ready"; from then on failures are counted
by those that meet them, and shown by selfmetrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from socket import socket

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector

from pktexp import __version__, privileges
from pktexp.attribution import Attribution, attributing
from pktexp.dropmetrics import DropCollector, RetransmitCollector
from pktexp.flowpage import FlowPage
from pktexp.infometrics import InterfaceCollector
from pktexp.interfaces import Interfaces
from pktexp.kernel import libbpf, tracing
from pktexp.kernel.datapath import Datapath, DatapathOptions
from pktexp.kernel.drops import DROPS, RETRANSMITS, reason_names
from pktexp.kernel.enums import Direction
from pktexp.kernel.libbpf import Libbpf
from pktexp.kernel.links import LinkMonitor
from pktexp.metrics import TrafficPage
from pktexp.namefilter import NameFilter
from pktexp.selfmetrics import SelfCollector
from pktexp.settings import EventMode, FlowMode, Settings
from pktexp.tasks import background
from pktexp.web.app import Source, make_app
from pktexp.web.listen import listen, url

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged
THREADS = 2  # for pages and netlink: more would not be faster, and each keeps memory of its own
GRACE = 1.0  # seconds that requests under way get at the end


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; PktexpError or BpfError if it cannot start."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    async with AsyncExitStack() as stack:
        privileges.require()
        _allow_open_files()
        lib = libbpf.find()
        listening = stack.enter_context(listen(settings.listen, settings.port))
        datapath = Datapath(lib, datapath_options(settings))
        stack.callback(datapath.close)
        log.info("pktexp %s with libbpf %s (%s)", __version__, lib.version, lib.path)
        _log_memory(datapath)
        monitor = LinkMonitor()
        stack.callback(monitor.close)
        interfaces = _attach(datapath, monitor, settings)
        attribution = await stack.enter_async_context(_attributing(datapath, settings))
        await stack.enter_async_context(background(interfaces.follow()))
        registry = CollectorRegistry()
        registry.register(InterfaceCollector(interfaces))
        for collector in _tracing(stack, lib, datapath, interfaces):
            registry.register(collector)
        registry.register(
            SelfCollector(__version__, lib.version, datapath, interfaces, attribution)
        )
        ProcessCollector(registry=registry)
        totals = TrafficPage(interfaces)
        source = Source(
            registry,
            pages=[*([FlowPage(interfaces, attribution.flows)] if attribution else []), totals],
            flush=lambda: _flush(attribution),
            ready=lambda: _missing(interfaces, attribution),
        )
        await stack.enter_async_context(_answering(source, listening))
        log.info("ready: %s", url(listening))
        await stop.wait()
        log.info("stopping")


def _allow_open_files() -> None:
    """Every interface takes a file descriptor, more than the usual soft limit of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def datapath_options(settings: Settings) -> DatapathOptions:
    """What the datapath is loaded with."""
    return DatapathOptions(
        slots=settings.max_interfaces,
        rings=settings.workers,
        ring_size=settings.ring_size,
        events=settings.flows is not FlowMode.OFF,
        ports=settings.flows in (FlowMode.SERVICES, FlowMode.SOCKETS),
        services=settings.flows is FlowMode.SERVICES,
        decap=settings.decap,
        flow_cache=settings.flow_cache if settings.events is EventMode.FLOW else 0,
    )


def _log_memory(datapath: Datapath) -> None:
    cache = datapath.flow_cache
    log.info(
        "kernel memory: counters %d KiB, rings %d KiB, flow cache %d KiB (%s)",
        datapath.counter_bytes >> 10,
        datapath.ring_bytes >> 10,
        cache.nbytes >> 10 if cache else 0,
        f"{cache.entries} flows a CPU" if cache else "off",
    )


def _attach(datapath: Datapath, monitor: LinkMonitor, settings: Settings) -> Interfaces:
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    directions = tuple(Direction) if settings.egress else (Direction.INGRESS,)
    interfaces = Interfaces(datapath, monitor, wanted, settings.ingress, directions)
    interfaces.warn_of_idle_globs()
    interfaces.reconcile()
    return interfaces


def _tracing(
    stack: AsyncExitStack, lib: Libbpf, datapath: Datapath, interfaces: Interfaces
) -> Iterator[Collector]:
    """What of dropped and retransmitted packets this kernel can tell."""
    if drops := tracing.start(lib, datapath, DROPS):
        stack.callback(drops.close)
        yield DropCollector(interfaces, drops, reason_names(lib))
    if retransmits := tracing.start(lib, datapath, RETRANSMITS):
        stack.callback(retransmits.close)
        yield RetransmitCollector(interfaces, retransmits)


@asynccontextmanager
async def _attributing(datapath: Datapath, settings: Settings) -> AsyncIterator[Attribution | None]:
    """Nothing where flows are off."""
    if settings.flows is FlowMode.OFF:
        yield None
        return
    async with attributing(datapath, settings.max_flows) as attribution:
        yield attribution


async def _flush(attribution: Attribution | None) -> None:
    if attribution:
        await attribution.flush(FLUSH)


def _missing(interfaces: Interfaces, attribution: Attribution | None) -> str:
    if attribution and not attribution.alive:
        return "a ring buffer is not being read"
    return "" if interfaces.attached else "no interface could be attached to"


@asynccontextmanager
async def _answering(source: Source, listening: socket) -> AsyncIterator[None]:
    runner = web.AppRunner(make_app(source), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()
