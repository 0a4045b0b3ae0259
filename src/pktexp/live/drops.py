"""The API's document of dropped packets: by the kernel's reason, and at devices."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from pktexp.interfaces.drops import HARMLESS, Drop
from pktexp.live.rates import DIGITS, base_of
from pktexp.live.sample import Sample


def drops(samples: Sequence[Sample], interface: str = "*") -> dict[str, Any]:
    """Build the document for interfaces whose names match a glob."""
    last = samples[-1]
    devices = last.details.devices if last.details else []
    growth = _growth(samples)
    return {
        "now": last.now,
        "drops": [
            {
                "interface": name,
                "reason": reason,
                "harmless": reason in HARMLESS,
                "packets": packets,
                "packets_per_second": growth.get((name, reason)),
            }
            for (name, reason), packets in _drops(last).items()
            if fnmatch.fnmatchcase(name, interface)
        ],
        "devices": [
            {"interface": name, "direction": direction, "kind": kind, "packets": packets}
            for name, direction, kind, packets in devices
            if fnmatch.fnmatchcase(name, interface)
        ],
    }


def _drops(sample: Sample) -> dict[Drop, int]:
    return sample.details.drops if sample.details else {}


def _growth(samples: Sequence[Sample]) -> dict[Drop, float]:
    """Return drops a second; empty before two samples with drops exist."""
    base, elapsed = base_of(samples, lambda sample: sample.details is not None)
    if base is None:
        return {}
    then = _drops(base)
    # A name whose lease ended between the two samples counts from zero again.
    return {
        drop: round(max(packets - then.get(drop, 0), 0) / elapsed, DIGITS)
        for drop, packets in _drops(samples[-1]).items()
    }
