"""The API's document of services: traffic by cgroup, with its systemd unit, container and pod."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pktexp.kubernetes.pods import NO_POD, Pod
from pktexp.live.rates import DIGITS, base_of, rates
from pktexp.live.sample import Sample
from pktexp.packet import labels
from pktexp.packet.records import U64
from pktexp.units.ledger import UnitCounts
from pktexp.units.names import names_of, readable


def services(
    samples: Sequence[Sample], pods: Mapping[str, Pod], name: str = "*"
) -> list[dict[str, Any]] | None:
    """Build a document for every cgroup whose path matches a glob; `pods` by uid.

    The last one, `other`, is the sum of all that are not shown. None if cgroups are not counted.
    """
    if (last := samples[-1].units) is None:
        return None
    growth = _growth(samples)
    found = [
        _identity(path, pods) | _directions(sums, growth.get(path))
        for path, sums in _by_path(last).items()
    ]
    return [document for document in found if fnmatch.fnmatchcase(document["cgroup"], name)]


def _identity(path: str, pods: Mapping[str, Pod]) -> dict[str, Any]:
    names = names_of(path)
    pod = pods.get(names.pod_uid, NO_POD)
    return {
        "cgroup": readable(path),
        "unit": names.unit,
        "container": names.container,
        "pod": pod.name,
        "pod_namespace": pod.namespace,
    }


def _directions(sums: U64, growth: Any) -> dict[str, Any]:
    return {
        name: rates(sums[d].tolist(), None if growth is None else growth[d].tolist())
        for d, name in labels.DIRECTIONS.items()
    }


def _by_path(counts: UnitCounts) -> dict[str, U64]:
    paths = [*(lease.path for lease in counts.leases), labels.OTHER]
    return dict(zip(paths, counts.counts, strict=True))


def _growth(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the growth a second by path, (direction, unit); empty without an earlier sample."""
    base, elapsed = base_of(samples, lambda sample: sample.units is not None)
    if base is None or base.units is None or samples[-1].units is None:
        return {}
    then = _by_path(base.units)
    # A path whose lease ended between the two samples counts from zero again.
    return {
        path: np.round(np.maximum(sums.astype(float) - then.get(path, 0), 0) / elapsed, DIGITS)
        for path, sums in _by_path(samples[-1].units).items()
    }
