"""Prometheus families of who asks the exporter itself (web/connections.py, web/access.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.web.connections import Connections
from pktexp.web.security import Security


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class ConnectionCollector(Collector):
    """Collects afresh for each scrape."""

    connections: Connections
    security: Security

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        text = "Connections to pktexp, also those that have not agreed on TLS yet."
        yield GaugeMetricFamily("pktexp_http_connections", text, value=len(self.connections))
        ended = CounterMetricFamily(
            "pktexp_http_connections_ended", "Connections that pktexp ended.", labels=("reason",)
        )
        for reason, count in sorted(dict(self.connections.ended).items()):
            ended.add_metric((reason,), count)
        yield ended
        refused = CounterMetricFamily(
            "pktexp_http_requests_refused", "Requests that were not let in.", labels=("code",)
        )
        for status, count in sorted(dict(self.security.refused).items()):
            refused.add_metric((str(status),), count)
        yield refused
