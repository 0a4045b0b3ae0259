"""Counters in chunks: which are made, what is read, and what is kept from earlier readings."""

from __future__ import annotations

import numpy as np
import pytest

from pktexp.bpf.counters import Counters, Epochs, chunk_shape
from pktexp.packet.records import CHUNK_SLOTS, INTERFACE_COUNTERS, Records

CPUS = 2
SLOT, OTHER = 2, 3 * CHUNK_SLOTS + 1


class Kernel:
    """Chunks, and a program that counts in them."""

    def __init__(self) -> None:
        self.chunks: dict[int, Records] = {}

    def make(self, index: int) -> Records:
        assert index not in self.chunks
        return self.chunks.setdefault(index, np.zeros(chunk_shape(CPUS), INTERFACE_COUNTERS))

    def count(self, slot: int, packets: int, cpu: int = 0, *, mark: bool = True) -> None:
        counters = self.chunks[slot // CHUNK_SLOTS][cpu, slot % CHUNK_SLOTS, 1]
        counters["classes"]["packets"][9] += packets
        counters["marks"] += mark


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def epochs() -> Epochs:
    return Epochs()


@pytest.fixture
def counters(kernel: Kernel, epochs: Epochs) -> Counters:
    return Counters(64, kernel.make, epochs)


def turn(epochs: Epochs, *, clean: bool = True) -> None:
    epochs.clean = clean
    epochs.begun += 1
    epochs.ended += 1


def read(counters: Counters, *slots: int) -> list[int]:
    totals = counters.read(np.array(slots))["classes"]["packets"]
    found: list[int] = totals[:, 1, 9].tolist()
    assert totals.sum() == sum(found)
    return found


def test_only_chunks_with_a_leased_slot_exist(counters: Counters, kernel: Kernel) -> None:
    counters.restart(SLOT)
    counters.restart(OTHER)
    counters.restart(OTHER + 1)
    assert sorted(kernel.chunks) == [0, 3]
    assert counters.nbytes == sum(chunk.nbytes for chunk in kernel.chunks.values())
    assert (counters.room, counters.missing) == (16, 6)
    counters.require_all()
    assert counters.missing == 0


def test_slots_of_several_chunks_are_read_in_any_order(counters: Counters, kernel: Kernel) -> None:
    counters.restart(SLOT)
    counters.restart(OTHER)
    for cpu in range(CPUS + 1):
        kernel.count(SLOT, 1, cpu)
        kernel.count(OTHER, 10, cpu)
    assert read(counters, OTHER, SLOT) == [30, 3]
    assert read(counters, SLOT, OTHER, SLOT + 1) == [3, 30, 0]


def test_slot_without_a_chunk_has_counted_nothing(counters: Counters) -> None:
    assert read(counters, OTHER) == [0]


def test_reused_slot_counts_from_zero(counters: Counters, kernel: Kernel) -> None:
    counters.restart(SLOT)
    kernel.count(SLOT, 5)
    assert read(counters, SLOT) == [5]
    counters.restart(SLOT)
    kernel.count(SLOT, 4)
    assert read(counters, SLOT) == [4]


def test_packets_without_a_mark_count_while_their_epoch_lasts(
    counters: Counters, kernel: Kernel, epochs: Epochs
) -> None:
    counters.restart(SLOT)
    kernel.count(SLOT, 1)
    assert read(counters, SLOT) == [1]
    kernel.count(SLOT, 1, mark=False)
    assert read(counters, SLOT) == [2]
    kernel.count(SLOT, 1, mark=False)
    turn(epochs)
    assert read(counters, SLOT) == [3]


def test_mark_seen_late_belongs_to_the_epoch_in_use(
    counters: Counters, kernel: Kernel, epochs: Epochs
) -> None:
    counters.restart(SLOT)
    epochs.begun += 1  # the halves are swapped, and the kernel has not answered yet
    kernel.count(SLOT, 1)
    assert read(counters, SLOT) == [1]
    epochs.ended += 1
    kernel.count(SLOT, 1, mark=False)
    assert read(counters, SLOT) == [2]
    kernel.count(SLOT, 1, mark=False)
    turn(epochs)
    assert read(counters, SLOT) == [3]


def test_unchanged_slots_are_not_read_again(
    counters: Counters, kernel: Kernel, epochs: Epochs
) -> None:
    counters.restart(SLOT)
    kernel.count(SLOT, 1)
    for _ in range(2):
        assert read(counters, SLOT) == [1]
        turn(epochs)
    assert read(counters, SLOT) == [1]
    kernel.count(SLOT, 6, mark=False)  # no program does so now
    assert read(counters, SLOT) == [1]
    kernel.count(SLOT, 1)
    assert read(counters, SLOT) == [8]


def test_everything_is_read_while_old_flows_are_in_the_cache(
    counters: Counters, kernel: Kernel, epochs: Epochs
) -> None:
    counters.restart(SLOT)
    for _ in range(3):
        read(counters, SLOT)
        turn(epochs)
    turn(epochs, clean=False)
    for packets in (1, 2):
        kernel.count(SLOT, 1, mark=False)
        assert read(counters, SLOT) == [packets]


def test_without_a_cache_a_mark_is_followed_by_one_more_reading(kernel: Kernel) -> None:
    counters = Counters(64, kernel.make)
    counters.restart(SLOT)
    kernel.count(SLOT, 1)
    assert read(counters, SLOT) == [1]
    kernel.count(SLOT, 1, mark=False)  # seen after the mark
    assert read(counters, SLOT) == [2]
    kernel.count(SLOT, 1, mark=False)
    assert read(counters, SLOT) == [2]
