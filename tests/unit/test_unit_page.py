"""Series of cgroups: labels of pods, paths that are no UTF-8, others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.metrics.units import UnitDropPage, UnitPage
from pktexp.units.leases import Lease
from pktexp.units.ledger import UnitCounts
from support.service.process import parse, select

UID = "8c3f1a52-0d7e-4b8f-9a51-2f6c7d8e9f00"
PATH = f"/kubepods/pod{UID}/{'ab' * 32}"


def ledger(*paths: str) -> Any:
    leases = [Lease(path, number) for number, path in enumerate(paths)]
    counts = np.arange((len(paths) + 1) * 4, dtype=np.uint64).reshape(-1, 2, 2)
    return SimpleNamespace(snapshot=lambda: UnitCounts(leases, counts))


def test_pods_are_named_by_the_uid_in_the_path() -> None:
    pods = PodTable()
    page = UnitPage(ledger(PATH), pods)
    assert 'pod_namespace="",pod=""' in page(False)
    pods.put(UID, Pod("shop", "cart-1", (b"\x0a\0\0\1",)))
    found = select(parse(page(False)), "pktexp_cgroup_bytes_total", pod="cart-1")
    labels = {key: dict(key) for key in found}
    assert {(x["pod_namespace"], x["container"]) for x in labels.values()} == {("shop", "ab" * 6)}
    assert {labels[key]["direction"]: value for key, value in found.items()} == {
        "ingress": 1.0,
        "egress": 3.0,
    }


def test_others_are_one_series_a_direction_and_odd_paths_are_escaped() -> None:
    text = UnitPage(ledger('/a"b\\c', "/caf\udce9"), None)(True)
    paths = {dict(key)["cgroup"] for key in select(parse(text), "pktexp_cgroup_packets_total")}
    assert paths == {'/a"b\\c', "/caf\\xe9", "other"}


def test_drops_have_the_labels_of_their_cgroup() -> None:
    drops = SimpleNamespace(read=lambda: {("/system.slice/a.service", "socket_rcvbuff"): 3})
    page = parse(UnitDropPage(cast("Any", drops), None)(False))
    (key,) = select(page, "pktexp_cgroup_dropped_packets_total", unit="a.service")
    assert dict(key)["reason"] == "socket_rcvbuff"
