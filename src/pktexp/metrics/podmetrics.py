"""Prometheus families of the pods that are known (pods.py), and of following them (watch.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:  # it needs the client
    from pktexp.kubernetes.watch import PodWatch


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class PodCollector(Collector):
    """Collects afresh for each scrape, in the caller's thread."""

    watch: PodWatch

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        watch = self.watch
        yield GaugeMetricFamily(
            "pktexp_kubernetes_pods", "Pods with addresses of their own.", value=watch.pods.count
        )
        yield GaugeMetricFamily(
            "pktexp_kubernetes_synced_age_seconds",
            "Time since the API server last confirmed them.",
            value=watch.age,
        )
        counters = {
            "pktexp_kubernetes_lists": ("Times all pods were listed.", watch.lists),
            "pktexp_kubernetes_watch_failures": (
                "Lists and watches that failed or broke off.",
                watch.failures,
            ),
            "pktexp_kubernetes_malformed_events": (
                "What the API server said and could not be understood.",
                watch.malformed,
            ),
            "pktexp_kubernetes_refused_pods": (
                "Pods that found no room, and have no name.",
                watch.pods.refused,
            ),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)
