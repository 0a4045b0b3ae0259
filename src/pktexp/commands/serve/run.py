"""The story of `pktexp serve`: read files, run the pipeline, serve, and close all in reverse.

Whatever can fail at start fails before "ready". Later failures are counted and exported.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, ProcessCollector

from pktexp import __version__
from pktexp.commands.serve.files import WEB, Files, read_files
from pktexp.commands.serve.reload import Reloader
from pktexp.commands.serve.systemd import Notifier, Supervision
from pktexp.kubernetes.naming import require
from pktexp.metrics import figures
from pktexp.metrics.exporter import ExporterCollector, Group
from pktexp.pipeline import Pipeline, prepare, running
from pktexp.settings import Settings
from pktexp.tasks import background
from pktexp.web.api import PREFIX, make_api
from pktexp.web.app import Source, make_app
from pktexp.web.connections import Connections
from pktexp.web.listen import listen, url

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
THREADS = 2  # for pages and netlink: more would not be faster, and each keeps memory of its own


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PktexpError or BpfError if it cannot start."""
    stop, hangup = _signals()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    async with AsyncExitStack() as stack:
        stack.callback(_ignore_signals)
        prepare(settings)
        files = read_files(settings)
        if settings.kubernetes:
            require(settings)
        listening = stack.enter_context(listen(settings.listen, settings.port))
        pipeline = await stack.enter_async_context(running(settings, files.networks))
        connections = Connections(settings.max_connections, files.security)
        source = _source(pipeline, files, connections)
        app = make_app(source, files.security, settings.telemetry_path)
        app.add_subapp(PREFIX, make_api(pipeline.live))
        await stack.enter_async_context(connections.answering(app, listening))
        following = files.security.follow(lambda: files.reloader.reload(WEB))
        await stack.enter_async_context(background(following))
        where = url(listening, files.security.scheme)
        metrics = where + settings.telemetry_path.lstrip("/")
        supervision = Supervision(Notifier(), pipeline.interfaces, pipeline.attribution, metrics)
        await stack.enter_async_context(supervision.running())
        await stack.enter_async_context(background(_reload_at(hangup, files.reloader, supervision)))
        log.info("ready: %s", where)
        await stop.wait()
        log.info("stopping")


def _source(pipeline: Pipeline, files: Files, connections: Connections) -> Source:
    """Register all collectors, and bring together what the HTTP handlers need."""
    groups = [
        *pipeline.groups(),
        Group(figures.FILES, files.reloader.files, "config"),
        Group(figures.CONNECTIONS, connections),
        Group(figures.ACCESS, files.security),
    ]
    registry = CollectorRegistry()
    exporter = ExporterCollector(__version__, pipeline.lib.version, groups)
    for collector in (*pipeline.collectors(), exporter):
        registry.register(collector)
    ProcessCollector(registry=registry)
    return Source(
        registry,
        pages=pipeline.pages(),
        independent=pipeline.independent_pages(),
        flush=pipeline.flush,
        ready=pipeline.missing,
    )


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return two events, set by the signals to stop and to reload."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number, event in zip(SIGNALS, (stop, stop, hangup), strict=True):
        # Not by the loop's own handlers: closing the loop removes them, and one more signal just
        # before the process ends would decide its exit status.
        signal.signal(number, lambda *_, event=event: loop.call_soon_threadsafe(event.set))
    return stop, hangup


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


async def _reload_at(hangup: asyncio.Event, reloader: Reloader, supervision: Supervision) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await supervision.reload(reloader)
