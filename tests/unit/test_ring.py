"""Reading a ring buffer whose memory the test writes as kernel/bpf/ringbuf.c does."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np
import pytest

from pktexp.bpf import ring as ring_module
from pktexp.bpf.ring import BUSY, Ring
from pktexp.packet.records import RING_RECORD, RING_WAKEUP

PAGE = mmap.PAGESIZE
SIZE = 4096
LONGER = np.dtype([*RING_RECORD.descr, ("_extra", "u8")])


class Producer:
    """The kernel's side of a ring: pages of the two positions, then the data area twice."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)
        self._memory = np.frombuffer(mmap.mmap(self.fd, 2 * PAGE + 2 * SIZE), np.uint8)
        self._position = self._memory[PAGE : PAGE + 8].view(np.uint64)
        self.written = 0

    def write(self, dtype: np.dtype[Any], header: int = 0) -> None:
        """Add a record that ends with its number."""
        record = np.zeros(1, dtype)
        record["header"] = header
        record.view(np.uint32)[self.number(dtype)] = self.written
        places = (int(self._position[0]) + np.arange(dtype.itemsize)) % SIZE + 2 * PAGE
        self._memory[places] = self._memory[places + SIZE] = record.view(np.uint8)
        self._position += np.uint64(dtype.itemsize)
        self.written += 1

    @staticmethod
    def number(dtype: np.dtype[Any]) -> int:
        """Return the place of a record's last four bytes, among its words of four bytes."""
        return dtype.itemsize // 4 - 1


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def ring(producer: Producer) -> Ring:
    return Ring(producer.fd, SIZE, np.zeros(1, RING_WAKEUP))


@pytest.mark.parametrize("dtype", [RING_RECORD, LONGER], ids=["now", "longer"])
def test_records_of_any_size_are_read_around_the_end(
    dtype: np.dtype[Any], producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_module, "RING_RECORD", dtype)
    monkeypatch.setattr(ring_module, "RECORD", dtype.itemsize)
    ring = Ring(producer.fd, SIZE, np.zeros(1, RING_WAKEUP))
    for _ in range(50):
        first = producer.written
        for _ in range(37):
            producer.write(dtype)
        batch = ring.batch(ring.produced)
        numbers = batch.view(np.uint32).reshape(len(batch), -1)[:, producer.number(dtype)]
        assert numbers.tolist() == list(range(first, first + 37))
        assert ring.unread == 37 * dtype.itemsize
        ring.release(batch)
        assert (ring.unread, len(ring.batch(ring.produced))) == (0, 0)


def test_record_that_is_being_written_ends_the_batch(producer: Producer, ring: Ring) -> None:
    for header in (0, int(BUSY), 0):  # BPF_RINGBUF_BUSY_BIT
        producer.write(RING_RECORD, header)
    assert len(ring.batch(ring.produced)) == 1


def test_batch_ends_at_the_wanted_position(producer: Producer, ring: Ring) -> None:
    producer.write(RING_RECORD)
    until = ring.produced
    producer.write(RING_RECORD)
    batch = ring.batch(until)
    assert len(batch) == 1
    ring.release(batch)
    assert len(ring.batch(until)) == 0
    assert len(ring.batch(ring.produced)) == 1
