"""Families about the exporter itself, read from the objects that hold their figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.metrics.figures import Figure


class Group(NamedTuple):
    """Figures of one object or, with `label`, of several objects by the label's values."""

    figures: Sequence[Figure]
    owner: object
    label: str = ""


class ExporterCollector(Collector):
    """Reads the figures of all groups at each scrape, in the caller's thread."""

    def __init__(self, version: str, libbpf_version: str, groups: Iterable[Group]) -> None:
        self._versions = (version, libbpf_version)
        self._groups = tuple(groups)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the versions, then the families of each group."""
        info = GaugeMetricFamily(
            "pktexp_build_info", "Versions, as labels.", labels=("version", "libbpf")
        )
        info.add_metric(self._versions, 1)
        yield info
        for group in self._groups:
            for figure in group.figures:
                yield _family(figure, group)


def _family(figure: Figure, group: Group) -> Metric:
    read = attrgetter(figure.attribute)
    if group.label and isinstance(group.owner, Mapping):
        values = {value: read(owner) for value, owner in group.owner.items()}
    elif figure.label:
        values = dict(read(group.owner))  # a copy: the event loop may add to it meanwhile
    else:
        return figure.kind(figure.name, figure.text, value=read(group.owner))
    family = figure.kind(figure.name, figure.text, labels=(figure.label or group.label,))
    for value, amount in sorted(values.items()):
        family.add_metric((str(value),), amount)
    return family
