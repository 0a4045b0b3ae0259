"""A BPF ring buffer mapped into this process, read as numpy batches without a copy.

The kernel (kernel/bpf/ringbuf.c, 5.8) maps the data area twice in a row, and all records have one
size. The records between the consumer's and the producer's position are therefore one contiguous
array.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from pktexp.packet.records import RING_RECORD, Records

BUSY = np.uint32(1 << 31)  # BPF_RINGBUF_BUSY_BIT: reserved, not yet written
RECORD = RING_RECORD.itemsize
BATCH = 1 << 16  # records; bounds how long one merge takes


class Ring:
    """A ring buffer and its wake-up word; `fd` is readable when the kernel wakes the reader."""

    def __init__(self, fd: int, size: int, wakeup: Records) -> None:
        """Map the ring of `size` data bytes behind `fd`, and take ownership of `fd`."""
        self.fd = fd
        page = mmap.PAGESIZE
        consumer = mmap.mmap(fd, page)
        shared = mmap.mmap(fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
        self._mask = size - 1
        self._wakeup = wakeup
        self._consumed = np.frombuffer(consumer, "u8", 1)
        self._produced = np.frombuffer(shared, "u8", 1)
        self._data = np.frombuffer(shared, np.uint8, 2 * size, offset=page)

    def __del__(self) -> None:
        os.close(self.fd)

    @property
    def produced(self) -> int:
        """Bytes reserved in this ring since its creation."""
        return int(self._produced[0])

    @property
    def unread(self) -> int:
        """Bytes that are not yet released."""
        return self.produced - int(self._consumed[0])

    def batch(self, until: int) -> Records:
        """Return a view of unread records, up to position `until` and at most BATCH of them.

        The view ends before a record that is still being written, and may be empty. It is valid
        until `release`.
        """
        consumed = int(self._consumed[0])
        first = consumed & self._mask  # may be no multiple of RECORD
        count = max(min((until - consumed) // RECORD, BATCH), 0)
        batch: Records = self._data[first : first + count * RECORD].view(RING_RECORD)
        busy = np.flatnonzero(batch["header"] & BUSY)
        return batch[: busy[0]] if len(busy) else batch

    def release(self, batch: Records) -> None:
        """Return the batch's room to the kernel; the view is invalid from now on."""
        self._consumed[0] += np.uint64(batch.nbytes)

    def arm(self) -> None:
        """Request one wake-up, when the ring has filled to the configured level."""
        self._wakeup["armed"] = 1
