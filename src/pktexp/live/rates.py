"""Rates: growth between an earlier sample and the last, divided by the time between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pktexp.live.sample import Sample
from pktexp.packet.records import U64

LONGEST = 5.5  # seconds: the last five, and the sampler may be late
SHORTEST = 0.5  # seconds: bursts have no meaningful rate over less
DIGITS = 4

F64 = npt.NDArray[np.float64]
Rates = dict[str, int | float | None]


def any_sample(_: Sample) -> bool:
    """Accept every sample as the base of a rate."""
    return True


def base_of(
    samples: Sequence[Sample], usable: Callable[[Sample], bool] = any_sample
) -> tuple[Sample | None, float]:
    """Find the earliest sample that rates can be based on, and the seconds since then."""
    last = samples[-1]
    for sample in samples:
        if SHORTEST <= last.at - sample.at <= LONGEST and usable(sample):
            return sample, last.at - sample.at
    return None, 0.0


def grown(
    samples: Sequence[Sample],
    of: Callable[[Sample], U64],
    usable: Callable[[Sample], bool] = any_sample,
) -> F64 | None:
    """Return the growth a second of an array by lease; None without an earlier sample.

    Rows are in the last sample's order. A lease missing from the earlier sample counts from zero.
    """
    last, (base, elapsed) = samples[-1], base_of(samples, usable)
    if base is None:
        return None
    then, rows = np.zeros_like(of(last)), {lease.id: r for r, lease in enumerate(base.leases)}
    pairs = [(r, rows[lease.id]) for r, lease in enumerate(last.leases) if lease.id in rows]
    if pairs:
        here, there = map(list, zip(*pairs, strict=True))
        then[here] = of(base)[there]
    growth: F64 = np.round((of(last) - then) / elapsed, DIGITS)
    return growth


def rate(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float | None:
    """Return the growth a second of one number; None without an earlier sample."""
    base, elapsed = base_of(samples)
    return None if base is None else round((of(samples[-1]) - of(base)) / elapsed, DIGITS)


def rates(sums: Sequence[int], growth: Sequence[float] | None) -> Rates:
    """Build the API's four fields from (packets, bytes) and their growth a second."""
    packets, bytes_ = growth if growth is not None else (None, None)
    return {
        "packets": sums[0],
        "bytes": sums[1],
        "packets_per_second": packets,
        "bytes_per_second": bytes_,
    }
