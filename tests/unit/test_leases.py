"""Slots let to names, and the ids that tell one lease of a slot from the next."""

from __future__ import annotations

import numpy as np
import pytest

from pktexp.bpf.counters import Counters, InterfaceTable, chunk_shape
from pktexp.bpf.libbpf import BpfError
from pktexp.interfaces.leases import KEPT, RETENTION, Leases
from pktexp.interfaces.namefilter import NameFilter
from pktexp.packet.enums import LinkType
from pktexp.packet.records import CHUNK_SLOTS, INTERFACE_BUCKET, INTERFACE_COUNTERS, LEASE, Records


@pytest.fixture
def rows() -> Records:
    """The chunk of counters of two CPUs."""
    return np.zeros(chunk_shape(2), INTERFACE_COUNTERS)


@pytest.fixture
def counters(rows: Records) -> Counters:
    """Four slots."""
    return Counters(4, lambda _: rows)


@pytest.fixture
def leases(counters: Counters) -> Leases:
    return Leases(counters)


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


def test_a_bounded_number_of_gone_interfaces_keep_their_leases() -> None:
    chunks: list[Records] = []

    def make(_: int) -> Records:
        chunks.append(np.zeros(chunk_shape(2), INTERFACE_COUNTERS))
        return chunks[-1]

    leases = Leases(Counters(4096, make))
    for number in range(3 * KEPT):
        take(leases, f"x{number}")
        leases.mark(used={f"x{number}"}, now=float(number))
    assert list(leases.by_name) == [f"x{number}" for number in range(2 * KEPT - 1, 3 * KEPT)]
    assert len(chunks) == KEPT // CHUNK_SLOTS + 1


def test_lowest_free_slot_is_leased_first(leases: Leases) -> None:
    for name in ("a", "b", "c"):
        take(leases, name)
    leases.mark(used={"b", "c"}, now=0)
    leases.mark(used={"b", "c"}, now=RETENTION + 1)
    assert [take(leases, name)[1] for name in ("d", "e")] == [0, 3]


def test_failed_chunk_leaves_the_slot_free(rows: Records) -> None:
    errors = [BpfError(12, "create a map")]

    def make(_: int) -> Records:
        if errors:
            raise errors.pop()
        return rows

    leases = Leases(Counters(4, make))
    with pytest.raises(BpfError):
        leases.take("a")
    assert take(leases, "a")[1] == 0


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
    counters: Counters, name: str, kernel_name: bytes
) -> None:
    table = np.zeros(4, LEASE)
    lease = Leases(counters, table).take(name, kernel_name)
    assert lease
    assert table["name"][lease.slot] == (kernel_name or name.encode())
    continued = Leases(counters, table).by_name
    assert {key: found.id for key, found in continued.items()} == {name: lease.id}


def test_globs_include_and_exclude() -> None:
    wanted = NameFilter(["eth*", "wlan?"], ["eth9"])
    names = ["eth0", "eth9", "wlan1", "wlan10", "lo"]
    assert [wanted(name) for name in names] == [True, False, True, False, False]
    assert NameFilter()("anything")
    assert not NameFilter((), ["any*"])("anything")
