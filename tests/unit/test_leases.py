"""Slots let to names, and the ids that tell one lease of a slot from the next."""

from __future__ import annotations

import numpy as np
import pytest

from pktexp.bpf.counters import Counters, InterfaceTable
from pktexp.interfaces.leases import RETENTION, Leases
from pktexp.interfaces.namefilter import NameFilter
from pktexp.packet.enums import LinkType
from pktexp.packet.records import INTERFACE_BUCKET, INTERFACE_COUNTERS, LEASE, Records


@pytest.fixture
def rows() -> Records:
    """Two CPUs and the shared row, four slots."""
    return np.zeros((3, 4, 2), INTERFACE_COUNTERS)


@pytest.fixture
def leases(rows: Records) -> Leases:
    return Leases(Counters(rows))


def take(leases: Leases, name: str) -> tuple[int, int]:
    lease = leases.take(name)
    assert lease
    return lease.id, lease.slot


def test_a_name_keeps_its_lease(leases: Leases) -> None:
    assert take(leases, "eth0") == take(leases, "eth0") != take(leases, "eth1")


def test_ids_are_unique_and_end_in_their_slot(leases: Leases) -> None:
    seen = set()
    for number in range(50):
        id_, slot = take(leases, f"x{number}")
        assert id_ & 3 == slot
        assert id_ > 0
        seen.add(id_)
        leases.mark(used=set(), now=float(number))
    assert len(seen) == 50


def test_full_table_refuses_a_lease(leases: Leases) -> None:
    names = {f"x{number}" for number in range(4)}
    for name in names:
        take(leases, name)
    leases.mark(used=names, now=0)
    assert leases.take("one more") is None


def test_longest_gone_interface_makes_room(leases: Leases) -> None:
    for name in ("a", "b", "c", "d"):
        take(leases, name)
    leases.mark(used={"a", "c", "d"}, now=1)
    leases.mark(used={"c", "d"}, now=2)
    assert leases.take("e")
    assert set(leases.by_name) == {"a", "c", "d", "e"}


def test_a_lease_ends_an_hour_after_its_interface(leases: Leases) -> None:
    take(leases, "a")
    leases.mark(used=set(), now=0)
    leases.mark(used=set(), now=RETENTION - 1)
    assert "a" in leases.by_name
    leases.mark(used=set(), now=RETENTION + 1)
    assert "a" not in leases.by_name


def test_name_that_returns_within_the_hour_continues(leases: Leases) -> None:
    before = take(leases, "a")
    leases.mark(used=set(), now=0)
    leases.mark(used={"a"}, now=10)
    leases.mark(used={"a"}, now=RETENTION * 2)
    assert take(leases, "a") == before


def test_reused_slot_counts_from_zero(rows: Records) -> None:
    counters = Counters(rows)
    rows["classes"]["packets"][:, 2, 1, 9] = [5, 7, 1]
    assert counters.read(np.array([2]))["classes"]["packets"][0, 1, 9] == 13
    counters.restart(2)
    rows["classes"]["packets"][1, 2, 1, 9] += 4
    assert counters.read(np.array([2]))["classes"]["packets"][0, 1, 9] == 4


def test_a_full_bucket_refuses_and_a_freed_way_is_used_again() -> None:
    table = InterfaceTable(np.zeros(16, INTERFACE_BUCKET))
    indexes = [3 + 16 * way for way in range(5)]
    assert [table.set(i, i, LinkType.ETHERNET) for i in indexes] == [True] * 4 + [False]
    table.remove(indexes[1])
    assert table.set(indexes[4], 9, LinkType.IP)
    assert table.set(indexes[4], 10, LinkType.IP)  # changed in place


def test_entries_that_an_earlier_process_left_are_kept_only_with_their_lease() -> None:
    buckets = np.zeros(16, INTERFACE_BUCKET)
    table = InterfaceTable(buckets)
    for ifindex, lease in ((3, 30), (19, 31), (4, 40), (5, 50)):
        assert table.set(ifindex, lease, LinkType.ETHERNET)
    table.keep_only({3: 30, 19: 99, 5: 50, 6: 60})
    kept = buckets["ways"][buckets["ways"]["ifindex"] != 0]
    assert sorted(kept[["ifindex", "id"]].tolist()) == [(3, 30), (5, 50)]


@pytest.mark.parametrize(
    ("name", "kernel_name"),
    [("eth0", b""), ("b\u00e9", b""), ("x\\xff", b"x\xff"), ("\\xff" * 15, b"\xff" * 15)],
)
def test_lease_continues_under_the_kernels_name(
    rows: Records, name: str, kernel_name: bytes
) -> None:
    table = np.zeros(4, LEASE)
    lease = Leases(Counters(rows), table).take(name, kernel_name)
    assert lease
    assert table["name"][lease.slot] == (kernel_name or name.encode())
    continued = Leases(Counters(rows), table).by_name
    assert {key: found.id for key, found in continued.items()} == {name: lease.id}


def test_globs_include_and_exclude() -> None:
    wanted = NameFilter(["eth*", "wlan?"], ["eth9"])
    names = ["eth0", "eth9", "wlan1", "wlan10", "lo"]
    assert [wanted(name) for name in names] == [True, False, True, False, False]
    assert NameFilter()("anything")
    assert not NameFilter((), ["any*"])("anything")
