"""Readers of the stream: a bounded number, counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

MOST = 100


class Readers:
    """Counts the readers of the stream; `dropped` only grows."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.count = 0
        self.dropped = 0

    @property
    def full(self) -> bool:
        """Whether the limit of readers is reached."""
        return self.count >= self.most

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a reader while the context is open."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
