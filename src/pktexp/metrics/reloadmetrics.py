"""Prometheus families of the files that SIGHUP reads again (reloading.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.commands.serve.reload import Reloader

LABELS = ("config",)


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class ReloadCollector(Collector):
    """Collects afresh for each scrape."""

    reloader: Reloader

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Named as Prometheus's own, so that rules for those are soon written for these."""
        good = GaugeMetricFamily(
            "pktexp_config_last_reload_successful",
            "Whether a file was good when it was last read.",
            labels=LABELS,
        )
        read_at = GaugeMetricFamily(
            "pktexp_config_last_reload_success_timestamp_seconds",
            "When a file was last read and good.",
            labels=LABELS,
        )
        failures = CounterMetricFamily(
            "pktexp_config_reload_failures",
            "Times a file was bad when it was read again.",
            labels=LABELS,
        )
        for name, file in self.reloader.files.items():
            good.add_metric((name,), file.good)
            read_at.add_metric((name,), file.read_at)
            failures.add_metric((name,), file.failures)
        yield from (good, read_at, failures)
