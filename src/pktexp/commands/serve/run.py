"""The story of `pktexp serve`: load, attach, read, serve, and close it all in reverse.

Settings come from cli.py, all up to serving from counting.py. Whatever can fail fails before
"ready"; from then on failures are counted by those that meet them, and shown by selfmetrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, ProcessCollector

from pktexp import assembly
from pktexp.assembly import WEB, Files
from pktexp.commands.serve.notify import Notifier
from pktexp.commands.serve.reload import Reloader
from pktexp.commands.serve.systemd import Supervision
from pktexp.kubernetes.naming import require
from pktexp.metrics.reloadmetrics import ReloadCollector
from pktexp.metrics.webmetrics import ConnectionCollector
from pktexp.pipeline import Counting, counting, prepare
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
    """Run until SIGTERM or SIGINT; PktexpError or BpfError if it cannot start."""
    stop, hangup = _signals()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
    async with AsyncExitStack() as stack:
        stack.callback(_ignore_signals)
        prepare()
        files = assembly.read_files(settings)
        if settings.kubernetes:
            require(settings)
        listening = stack.enter_context(listen(settings.listen, settings.port))
        counted = await stack.enter_async_context(counting(settings, files.networks))
        connections = Connections(settings.max_connections, files.security)
        source = _source(counted, files, connections)
        app = make_app(source, files.security, settings.telemetry_path)
        app.add_subapp(PREFIX, make_api(counted.live))
        await stack.enter_async_context(connections.answering(app, listening))
        following = files.security.follow(lambda: files.reloader.reload(WEB))
        await stack.enter_async_context(background(following))
        where = url(listening, files.security.scheme)
        metrics = where + settings.telemetry_path.lstrip("/")
        supervision = Supervision(Notifier(), counted.interfaces, counted.attribution, metrics)
        await stack.enter_async_context(supervision.running())
        await stack.enter_async_context(background(_reload_at(hangup, files.reloader, supervision)))
        log.info("ready: %s", where)
        await stop.wait()
        log.info("stopping")


def _source(counted: Counting, files: Files, connections: Connections) -> Source:
    """What handlers ask for."""
    registry = CollectorRegistry()
    collectors = (
        *counted.collectors,
        ReloadCollector(files.reloader),
        ConnectionCollector(connections, files.security),
    )
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return Source(
        registry,
        pages=counted.pages,
        flush=counted.flush,
        ready=counted.missing,
    )


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set when it is to stop, and when it is to read its files again."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number, event in zip(SIGNALS, (stop, stop, hangup), strict=True):
        # Not the loop's own handlers: it takes those back when it is closed, and one more signal,
        # in the moment before the process is gone, would decide the status that it ends with.
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
