"""A host with traffic of all sorts, scraped by a real Prometheus, and the dashboard over it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.kernel.cgroups import MOUNTED
from support.monitoring.grafana import BUILT_IN, View
from support.monitoring.prometheus import Prometheus, prometheus
from support.netns.allsorts import all_sorts
from support.netns.hosts import host_with_pod
from support.netns.namespace import Namespace, making
from support.patience import wait_for
from support.service.onbus import on_bus
from support.service.process import Service, serving

RULES = Path(__file__).parents[3] / "deploy" / "prometheus"
ROOM, FLOWS = 16, 12  # interfaces; flows that are shown, fewer than there are
LIMITS = ("--max-interfaces", str(ROOM), "--max-flows", str(FLOWS))
WINDOW, WHOLE = BUILT_IN["__rate_interval"], BUILT_IN["__range"]


@dataclass(frozen=True)
class Seen:
    """A host whose traffic has been scraped for as long as the dashboard's time range."""

    host: Namespace
    service: Service
    server: Prometheus
    view: View
    time: float

    def slope(self, selector: str, window: str = WINDOW) -> float:
        """Return the sum of series: growth per second from first to last scrape of a window."""
        found = self.server.query(f"{selector}[{window}]", time=str(self.time))
        # A series that was scraped once has no growth, for rate() neither.
        ends = [(x["values"][0], x["values"][-1]) for x in found if len(x["values"]) > 1]
        assert ends, selector
        return float(sum((float(b) - float(a)) / (end - begin) for (begin, a), (end, b) in ends))

    def shown(self, title: str, query: int, **labels: str) -> float:
        """Return the sum of a panel's query over series with these labels."""
        found = self.view.latest(title, self.time)[query]
        matching = [value for key, value in found.items() if labels.items() <= set(key)]
        assert matching, f"{title}: {labels} is not in {list(found)}"
        return sum(matching)


@contextlib.contextmanager
def scraped(folder: Path) -> Iterator[Seen]:
    """Run host, traffic, service and Prometheus; `wire` is the host's hardware."""
    files = (RULES / "rules.yml", RULES / "alerts.yml")
    with making() as make:
        host = host_with_pod(make)
        words = on_bus(folder, "wire")
        with serving(host[1], *LIMITS, prefix=(*MOUNTED, *words)) as service:
            port = int(service.url.rstrip("/").rsplit(":", 1)[1])
            with prometheus(host[1], folder, port, *files) as server, all_sorts(host):
                # Of all series these are the last to grow: TCP waits for a second.
                last = f"pktexp_tcp_retransmitted_segments_total offset {WHOLE} > 0"
                wait_for(lambda: server.query(last))
                # On a busy machine the scrape of this moment may fail.
                (scrape,) = wait_for(lambda: server.query("timestamp(up == 1)"))
                at = float(scrape["value"][1])
                yield Seen(host[1], service, server, View(server), at)
