"""Makes the parts of `pktexp serve` as the settings say; service.py and counting.py run them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client.registry import Collector

from pktexp.bpf import tracing
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.pins import Pins, open_pins
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS, reason_names
from pktexp.commands.serve.reload import Reloader
from pktexp.flows.attribution import Attribution, attributing
from pktexp.flows.merger import Sink
from pktexp.flows.networks import NamedNetworks
from pktexp.flows.networksums import NetworkSums
from pktexp.flows.table import FlowTable
from pktexp.interfaces.namefilter import NameFilter
from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.pods import PodTable
from pktexp.live.documents import Live
from pktexp.live.history import History
from pktexp.live.sample import Parts
from pktexp.live.sampler import Sampler
from pktexp.live.status import Status
from pktexp.metrics.drops import DropCollector, RetransmitCollector
from pktexp.metrics.flows import FlowPage
from pktexp.metrics.networks import NetworkPage
from pktexp.metrics.traffic import TrafficPage
from pktexp.netlink.links import LinkMonitor
from pktexp.packet.enums import Direction
from pktexp.settings import EventMode, FlowMode, Settings
from pktexp.tasks import background
from pktexp.web.security import Security

log = logging.getLogger(__name__)


WEB, NETWORKS = "web", "networks"  # what files are for


@dataclass(frozen=True)
class Files:
    """The operator's, read; `networks` is None without names."""

    reloader: Reloader
    security: Security
    networks: NamedNetworks | None


def read_files(settings: Settings) -> Files:
    """PktexpError if one is wrong."""
    reloader, security = Reloader(), Security(settings.web_config)
    networks = NamedNetworks(settings.networks) if settings.networks else None
    if settings.web_config:
        reloader.add(WEB, security.read)
    if networks:
        reloader.add(NETWORKS, networks.read)
    return Files(reloader, security, networks)


def datapath_options(settings: Settings) -> DatapathOptions:
    """What the datapath is loaded with."""
    return DatapathOptions(
        slots=settings.max_interfaces,
        rings=settings.workers,
        ring_size=settings.ring_size,
        events=settings.flows is not FlowMode.OFF or settings.networks is not None,
        ports=settings.flows in (FlowMode.SERVICES, FlowMode.SOCKETS),
        services=settings.flows is FlowMode.SERVICES,
        decap=settings.decap,
        flow_cache=settings.flow_cache if settings.events is EventMode.FLOW else 0,
    )


def pins(stack: AsyncExitStack, lib: Libbpf, settings: Settings) -> Pins | None:
    """Where what outlasts the process is, if anything is to; PktexpError if it cannot."""
    if settings.pin is None:
        return None
    found = open_pins(lib, settings.pin)
    stack.callback(found.close)
    return found


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
    interfaces.take_over()
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
async def watch(
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
async def attribute(
    datapath: Datapath, sinks: Sequence[Sink | None]
) -> AsyncIterator[Attribution | None]:
    """Nothing where nobody asks whose packets they were."""
    wanted = [sink for sink in sinks if sink]
    if not wanted:
        yield None
        return
    async with attributing(datapath, wanted) as attribution:
        yield attribution


def pages(
    interfaces: Interfaces,
    flows: FlowTable | None,
    networks: NetworkSums | None,
    pods: PodTable | None,
) -> list[Callable[[bool], str]]:
    """In the order in which they are to be written: what is in records first, then the totals."""
    found: list[Callable[[bool], str]] = [TrafficPage(interfaces)]
    if networks:
        found.insert(0, NetworkPage(interfaces, networks, interfaces.classes))
    if flows:
        found.insert(0, FlowPage(interfaces, flows, pods))
    return found
