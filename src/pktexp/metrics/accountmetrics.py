"""Prometheus families of whether the sums agree (accounting.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.flows.accounting import Accounts


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class AccountCollector(Collector):
    """Collects afresh for each scrape."""

    accounts: Accounts

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What the last check found, and how many there were."""
        yield GaugeMetricFamily(
            "pktexp_unaccounted_packets",
            "Packets that interfaces counted and no flow has, or more than one.",
            value=sum(map(abs, self.accounts.unaccounted.values())),
        )
        yield CounterMetricFamily(
            "pktexp_accounting_checks",
            "Comparisons of interfaces' totals with flows, other and losses.",
            value=self.accounts.checks,
        )
        yield CounterMetricFamily(
            "pktexp_accounting_failures",
            "Comparisons that could not be made.",
            value=self.accounts.failures.count,
        )
