"""What remote.py and local.py give to screen.py and once.py: events as of /api/v1/stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Event = dict[str, Any]
Query = Mapping[str, str]
"""parameters of the stream (docs/api.md)"""


class Source(Protocol):
    """Where events come from."""

    @property
    def where(self) -> str:
        """For people."""

    def events(self, query: Query) -> AsyncIterator[Event]:
        """One each second, without end; PktexpError if there are none, and cannot be."""


def rates_known(event: Event) -> bool:
    """Whether it has rates of interfaces and flows, as the first events have not."""
    if event["flows"] is not None:
        return event["flows"]["total"]["bytes_per_second"] is not None
    return event["status"]["cost"]["cpu_percent"] is not None
