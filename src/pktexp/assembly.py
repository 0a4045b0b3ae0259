"""Makes the parts of `pktexp serve` as the settings say; service.py runs them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client.registry import Collector

from pktexp.attribution import Attribution, attributing
from pktexp.dropmetrics import DropCollector, RetransmitCollector
from pktexp.history import History
from pktexp.interfaces import Interfaces
from pktexp.kernel import tracing
from pktexp.kernel.datapath import Datapath, DatapathOptions
from pktexp.kernel.drops import DROPS, RETRANSMITS, reason_names
from pktexp.kernel.enums import Direction
from pktexp.kernel.libbpf import Libbpf
from pktexp.kernel.links import LinkMonitor
from pktexp.live.live import Live
from pktexp.live.sample import Parts
from pktexp.live.sampler import Sampler
from pktexp.live.status import Status
from pktexp.namefilter import NameFilter
from pktexp.settings import EventMode, FlowMode, Settings
from pktexp.tasks import background

log = logging.getLogger(__name__)


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


def log_memory(datapath: Datapath) -> None:
    """What the datapath takes of the kernel's memory."""
    cache = datapath.flow_cache
    log.info(
        "kernel memory: counters %d KiB, rings %d KiB, flow cache %d KiB (%s)",
        datapath.counter_bytes >> 10,
        datapath.ring_bytes >> 10,
        cache.nbytes >> 10 if cache else 0,
        f"{cache.entries} flows a CPU" if cache else "off",
    )


def attach(datapath: Datapath, monitor: LinkMonitor, settings: Settings) -> Interfaces:
    """Attached to what there is now."""
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    directions = tuple(Direction) if settings.egress else (Direction.INGRESS,)
    interfaces = Interfaces(datapath, monitor, wanted, settings.ingress, directions)
    interfaces.warn_of_idle_globs()
    interfaces.reconcile()
    return interfaces


def trace(
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
async def live(
    parts: Parts, status: Status, flush: Callable[[], Awaitable[None]]
) -> AsyncIterator[Live]:
    """Samples each second beside the body."""
    history = History()
    log.info("history: at most %d KiB for %d interfaces", history.nbytes >> 10, history.limit)
    sampler = Sampler(parts, history, flush)
    async with AsyncExitStack() as stack:
        # Not among the threads for pages: a scrape would wait while many documents are written.
        executor = stack.enter_context(ThreadPoolExecutor(1, "api"))
        await stack.enter_async_context(background(sampler.run()))
        yield Live(sampler, status, executor)


@asynccontextmanager
async def attribute(datapath: Datapath, settings: Settings) -> AsyncIterator[Attribution | None]:
    """Nothing where flows are off."""
    if settings.flows is FlowMode.OFF:
        yield None
        return
    async with attributing(datapath, settings.max_flows) as attribution:
        yield attribution
