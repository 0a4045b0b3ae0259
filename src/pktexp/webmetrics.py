"""Prometheus families of the connections to the exporter itself (web/connections.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.web.connections import Connections


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class ConnectionCollector(Collector):
    """Collects afresh for each scrape."""

    connections: Connections

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Both families."""
        text = "Connections to pktexp, also those that have not agreed on TLS yet."
        yield GaugeMetricFamily("pktexp_http_connections", text, value=len(self.connections))
        ended = CounterMetricFamily(
            "pktexp_http_connections_ended", "Connections that pktexp ended.", labels=("reason",)
        )
        for reason, count in sorted(dict(self.connections.ended).items()):
            ended.add_metric((reason,), count)
        yield ended
