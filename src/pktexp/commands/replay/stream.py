"""A file that is read once from start to end, with bounds that a malformed file cannot exceed."""

from __future__ import annotations

import gzip
from io import BufferedReader

LONGEST_READ = 16 << 20  # bytes; a larger length is an error and must not allocate memory


class Stream:
    """A file that is read once from start to end."""

    def __init__(self, file: BufferedReader | gzip.GzipFile) -> None:
        self._file = file
        self._consumed = 0

    def tell(self) -> int:
        """Return the number of bytes read so far; works on a pipe too."""
        return self._consumed

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end. Raises EOFError if `size` is implausible."""
        if size > LONGEST_READ:
            raise EOFError(f"a block claims {size} bytes")
        data = self._file.read(size)
        self._consumed += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes. Raises EOFError if fewer are left."""
        if len(data := self.read(size)) < size:
            raise EOFError(f"{size} bytes expected, {len(data)} left")
        return data
