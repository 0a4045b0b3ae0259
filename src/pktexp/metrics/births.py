"""Times of birth of series: OpenMetrics' `_created`, by which Prometheus starts them at 0.

A counter whose first sample is 100 shows no increase: Prometheus cannot know that it was 0 before.
`_created` says so (OpenMetrics 1.0, 5.1.2): the time of the page before, which lacked the series.
It is written for a while only, since a Prometheus without the feature stores it as a series.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from pktexp.metrics.exposition import Family

YOUNG = 900.0  # seconds; longer than any usual scrape interval


class Births:
    """Remembers the counters and histograms of a page, by family and labels."""

    def __init__(self, since: float | None = None) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._known: dict[str, dict[str, float | None]] = {}
        self._written = since

    def dated(self, families: Iterable[Family], now: float) -> Iterator[Family]:
        """Yield the families with the times when their young series were still 0.

        `now`: Unix time when the page began to read the counters. Series born at 0 get no time.
        """
        written, self._written = self._written, now
        for family in families:
            before = self._known.get(family.name, {})
            known = self._known[family.name] = {
                labels: before.get(labels, written if value else None)
                for labels, value in family.series
            }
            created = [young(known[labels], now) for labels, _ in family.series]
            yield dataclasses.replace(family, created=created)


def young(born: float | None, now: float) -> float | None:
    """Return the time of birth if it is to be written at `now`, else None."""
    return born if born is not None and now - born < YOUNG else None
