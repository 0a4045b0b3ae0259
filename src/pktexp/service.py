"""The story of `pktexp serve`: load, attach, read, serve, and close it all in reverse.

Settings come from cli.py, the parts from assembly.py. Whatever can fail fails before "ready"; from
then on failures are counted by those that meet them, and shown by selfmetrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, ProcessCollector

from pktexp import __version__, assembly, privileges
from pktexp.assembly import WEB, Counting, Files
from pktexp.attribution import Attribution
from pktexp.dropmetrics import DropCollector
from pktexp.flows import FlowTable
from pktexp.infometrics import InterfaceCollector
from pktexp.interfaces import Interfaces
from pktexp.kernel import libbpf
from pktexp.kernel.datapath import Datapath
from pktexp.kernel.links import LinkMonitor
from pktexp.kubernetes.behind import PodsBehind
from pktexp.kubernetes.start import naming, require
from pktexp.live.sample import Parts
from pktexp.live.status import Status
from pktexp.livemetrics import LiveCollector
from pktexp.networksums import NetworkSums
from pktexp.notify import Notifier
from pktexp.reloading import Reloader
from pktexp.reloadmetrics import ReloadCollector
from pktexp.selfmetrics import SelfCollector
from pktexp.settings import FlowMode, Settings
from pktexp.supervision import Supervision
from pktexp.tasks import background
from pktexp.web.api import PREFIX, make_api
from pktexp.web.app import Source, make_app
from pktexp.web.connections import Connections
from pktexp.web.listen import listen, url
from pktexp.webmetrics import ConnectionCollector

log = logging.getLogger(__name__)

FLUSH = 0.1  # seconds that a scrape waits for events to be merged
THREADS = 2  # for pages and netlink: more would not be faster, and each keeps memory of its own


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; PktexpError or BpfError if it cannot start."""
    stop, hangup = _signals()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    async with AsyncExitStack() as stack:
        privileges.require()
        _allow_open_files()
        files = assembly.read_files(settings)
        if settings.kubernetes:
            require(settings)
        listening = stack.enter_context(listen(settings.listen, settings.port))
        counting = await _count(stack, settings, files)
        connections = Connections(settings.max_connections, files.security)
        source = _source(counting, files, connections)
        app = make_app(source, files.security, settings.telemetry_path)
        app.add_subapp(PREFIX, make_api(counting.live))
        await stack.enter_async_context(connections.answering(app, listening))
        following = files.security.follow(lambda: files.reloader.reload(WEB))
        await stack.enter_async_context(background(following))
        where = url(listening, files.security.scheme)
        metrics = where + settings.telemetry_path.lstrip("/")
        supervision = Supervision(Notifier(), counting.interfaces, counting.attribution, metrics)
        await stack.enter_async_context(supervision.running())
        await stack.enter_async_context(background(_reload_at(hangup, files.reloader, supervision)))
        log.info("ready: %s", where)
        await stop.wait()
        log.info("stopping")


async def _count(stack: AsyncExitStack, settings: Settings, files: Files) -> Counting:
    """Load, attach, and read beside all that follows."""
    lib = libbpf.find()
    datapath = Datapath(lib, assembly.datapath_options(settings))
    stack.callback(datapath.close)
    log.info("pktexp %s with libbpf %s (%s)", __version__, lib.version, lib.path)
    assembly.log_memory(datapath)
    monitor = LinkMonitor()
    stack.callback(monitor.close)
    interfaces = assembly.attach(datapath, monitor, settings)
    tracings = list(assembly.trace(stack, lib, datapath, interfaces))
    # A thread keeps the capabilities it was started with: all are started below.
    privileges.give_up(datapath.hooks.tcx, settings.kubernetes)
    pods, about_pods = await stack.enter_async_context(naming(settings))
    flows = FlowTable(settings.max_flows) if settings.flows is not FlowMode.OFF else None
    networks = NetworkSums(files.networks, interfaces.classes) if files.networks else None
    reading = assembly.attribute(datapath, [flows, networks])
    attribution = await stack.enter_async_context(reading)
    await stack.enter_async_context(background(interfaces.follow()))
    information = InterfaceCollector(interfaces, PodsBehind(pods) if pods else None)
    drops = next((tracer for tracer in tracings if isinstance(tracer, DropCollector)), None)
    parts = Parts(interfaces, attribution, flows, information, drops, pods)
    status = Status(lib.version, lambda: _missing(interfaces, attribution), settings, datapath)
    watching = assembly.watch(parts, status, lambda: _flush(attribution))
    live = await stack.enter_async_context(watching)
    collectors = (
        information,
        *tracings,
        SelfCollector(__version__, lib.version, datapath, interfaces, attribution, flows),
        LiveCollector(live),
        *about_pods,
    )
    pages = assembly.pages(interfaces, flows, networks, pods)
    return Counting(interfaces, attribution, live, pages, collectors)


def _source(counting: Counting, files: Files, connections: Connections) -> Source:
    """What handlers ask for."""
    registry = CollectorRegistry()
    collectors = (
        *counting.collectors,
        ReloadCollector(files.reloader),
        ConnectionCollector(connections, files.security),
    )
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return Source(
        registry,
        pages=counting.pages,
        flush=lambda: _flush(counting.attribution),
        ready=lambda: _missing(counting.interfaces, counting.attribution),
    )


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set when it is to stop, and when it is to read its files again."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    events = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: hangup}
    for number, event in events.items():
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return stop, hangup


async def _reload_at(hangup: asyncio.Event, reloader: Reloader, supervision: Supervision) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await supervision.reload(reloader)


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
