"""Who reads the stream (web/stream.py), counted; shown by livemetrics.py and status.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

MOST = 100


class Readers:
    """`dropped` only grows."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.count = 0
        self.dropped = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return self.count >= self.most

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Counted while the body runs."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
