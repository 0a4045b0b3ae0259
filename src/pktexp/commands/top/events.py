"""Events shown by `pktexp top`: the documents of /api/v1/stream, and the interface of a source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Event = dict[str, Any]
Query = Mapping[str, str]
"""parameters of the stream, as in docs/api.md"""


class Source(Protocol):
    """A source of events: a running service, or this process."""

    @property
    def where(self) -> str:
        """The name of the source, for display."""

    def events(self, query: Query) -> AsyncIterator[Event]:
        """Yield an event per second until cancelled. Raises PktexpError if there can be none."""


def rates_known(event: Event) -> bool:
    """Return whether the event has rates; the first events of a source have none."""
    if event["flows"] is not None:
        return event["flows"]["total"]["bytes_per_second"] is not None
    return event["status"]["cost"]["cpu_percent"] is not None
